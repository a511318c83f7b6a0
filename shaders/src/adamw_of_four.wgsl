// The steps of adamw.wgsl for four tensors. Values holds p of one after the other, moments m and v of one after the other.
@group(0) @binding(0) var<storage, read_write> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> moments: array<f32>;
@group(0) @binding(2) var<storage, read_write> g0: array<f32>;
@group(0) @binding(3) var<storage, read_write> g1: array<f32>;
@group(0) @binding(4) var<storage, read_write> g2: array<f32>;
@group(0) @binding(5) var<storage, read_write> g3: array<f32>;
@group(0) @binding(6) var<storage, read_write> new_values: array<f32>;
@group(0) @binding(7) var<storage, read_write> new_moments: array<f32>;
// of each: the sum of len up to it, the gradient's scale, 1 − lr·decay, lr/c1; β1, 1 − β1, β2, 1 − β2; 1/√c2, eps
@group(0) @binding(8) var<uniform> info: array<vec4<u32>, 12>;

fn gradient(tensor: u32, i: u32) -> f32 {
    switch tensor {
        case 0u: { return g0[i]; }
        case 1u: { return g1[i]; }
        case 2u: { return g2[i]; }
        default: { return g3[i]; }
    }
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = first_element(group, groups, local);
    for (var part = 0u; part < ELEMENTS; part++) {
        let i = first + part * LANES;
        if i < info[9].x {
            var tensor = 0u;
            var start = 0u;
            while i >= info[3u * tensor].x {
                start = info[3u * tensor].x;
                tensor++;
            }
            let len = info[3u * tensor].x - start;
            let words = bitcast<vec4<f32>>(info[3u * tensor]);
            let betas = bitcast<vec4<f32>>(info[3u * tensor + 1u]);
            let root = bitcast<f32>(info[3u * tensor + 2u].x);
            let eps = bitcast<f32>(info[3u * tensor + 2u].y);
            // What stands before, twice, and the place in this tensor.
            let m = start + i;
            let v = m + len;
            let slope = gradient(tensor, i - start) * words.y;
            let mean = betas.x * moments[m] + betas.y * slope;
            let square = betas.z * moments[v] + betas.w * slope * slope;
            new_moments[m] = mean;
            new_moments[v] = square;
            new_values[i] = values[i] * words.z - words.w * mean / (sqrt(square) * root + eps);
        }
    }
}

// The steps of adamw.wgsl for five tensors. State holds p, m and v of one after the other.
@group(0) @binding(0) var<storage, read_write> state: array<f32>;
@group(0) @binding(1) var<storage, read_write> g0: array<f32>;
@group(0) @binding(2) var<storage, read_write> g1: array<f32>;
@group(0) @binding(3) var<storage, read_write> g2: array<f32>;
@group(0) @binding(4) var<storage, read_write> g3: array<f32>;
@group(0) @binding(5) var<storage, read_write> g4: array<f32>;
@group(0) @binding(6) var<storage, read_write> new_state: array<f32>;
// of each: the sum of len up to it, the gradient's scale, 1 − lr·decay, lr/c1; β1, 1 − β1, β2, 1 − β2; 1/√c2, eps
@group(0) @binding(7) var<uniform> info: array<vec4<u32>, 15>;

fn gradient(tensor: u32, i: u32) -> f32 {
    switch tensor {
        case 0u: { return g0[i]; }
        case 1u: { return g1[i]; }
        case 2u: { return g2[i]; }
        case 3u: { return g3[i]; }
        default: { return g4[i]; }
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
        if i < info[12].x {
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
            // Three times what stands before, and the place in this tensor.
            let p = 2u * start + i;
            let m = p + len;
            let v = m + len;
            let slope = gradient(tensor, i - start) * words.y;
            let mean = betas.x * state[m] + betas.y * slope;
            let square = betas.z * state[v] + betas.w * slope * slope;
            new_state[m] = mean;
            new_state[v] = square;
            new_state[p] = state[p] * words.z - words.w * mean / (sqrt(square) * root + eps);
        }
    }
}

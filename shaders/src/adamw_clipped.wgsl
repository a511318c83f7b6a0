// As adamw.wgsl, with the gradient's scale on the device; nothing changes where the last of the scales is not 0.
@group(0) @binding(0) var<storage, read_write> p: array<f32>;
@group(0) @binding(1) var<storage, read_write> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<f32>;
@group(0) @binding(3) var<storage, read_write> v: array<f32>;
// …, the gradient's scale, whether the steps have come to an end
@group(0) @binding(4) var<storage, read_write> scales: array<f32>;
@group(0) @binding(5) var<storage, read_write> new_p: array<f32>;
@group(0) @binding(6) var<storage, read_write> new_m: array<f32>;
@group(0) @binding(7) var<storage, read_write> new_v: array<f32>;
// len, scales, 1 − lr·decay, lr/c1; β1, 1 − β1, β2, 1 − β2; 1/√c2, eps
@group(0) @binding(8) var<uniform> info: array<vec4<u32>, 3>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = first_element(group, groups, local);
    let words = bitcast<vec4<f32>>(info[0]);
    let betas = bitcast<vec4<f32>>(info[1]);
    let root = bitcast<f32>(info[2].x);
    let eps = bitcast<f32>(info[2].y);
    let scale = scales[info[0].y - 2u];
    let ended = scales[info[0].y - 1u] != 0.0;
    for (var part = 0u; part < ELEMENTS; part++) {
        let i = first + part * LANES;
        if i < info[0].x {
            let slope = g[i] * scale;
            let mean = betas.x * m[i] + betas.y * slope;
            let square = betas.z * v[i] + betas.w * slope * slope;
            let moved = p[i] * words.z - words.w * mean / (sqrt(square) * root + eps);
            new_m[i] = select(mean, m[i], ended);
            new_v[i] = select(square, v[i], ended);
            new_p[i] = select(moved, p[i], ended);
        }
    }
}

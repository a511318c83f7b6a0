// m' = β1·m + (1 − β1)·g, v' = β2·v + (1 − β2)·g², p' = p·(1 − lr·decay) − lr/c1 · m' / (√v'/√c2 + eps), g scaled first.
@group(0) @binding(0) var<storage, read_write> p: array<f32>;
@group(0) @binding(1) var<storage, read_write> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<f32>;
@group(0) @binding(3) var<storage, read_write> v: array<f32>;
@group(0) @binding(4) var<storage, read_write> new_p: array<f32>;
@group(0) @binding(5) var<storage, read_write> new_m: array<f32>;
@group(0) @binding(6) var<storage, read_write> new_v: array<f32>;
// len, the gradient's scale, 1 − lr·decay, lr/c1; β1, 1 − β1, β2, 1 − β2; 1/√c2, eps
@group(0) @binding(7) var<uniform> info: array<vec4<u32>, 3>;

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
    for (var part = 0u; part < ELEMENTS; part++) {
        let i = first + part * LANES;
        if i < info[0].x {
            let slope = g[i] * words.y;
            let mean = betas.x * m[i] + betas.y * slope;
            let square = betas.z * v[i] + betas.w * slope * slope;
            new_m[i] = mean;
            new_v[i] = square;
            new_p[i] = p[i] * words.z - words.w * mean / (sqrt(square) * root + eps);
        }
    }
}

// dx = dy · ((1 + t)/2 + x/2 · (1 − t²) · √(2/π) · (1 + 3·0.044715·x²)), t = tanh u, u = √(2/π) · (x + 0.044715·x³);
// with e = e²ᵘ that is (1 + t)/2 = e / (e + 1) and (1 − t²)/2 = 2e / (e + 1)².
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
// len
@group(0) @binding(3) var<uniform> info: array<vec4<u32>, 1>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = first_element(group, groups, local);
    for (var part = 0u; part < ELEMENTS; part++) {
        let i = first + part * LANES;
        if i < info[0].x {
            let value = x[i];
            let inner = 0.7978845608 * (value + 0.044715 * value * value * value);
            // At 10 tanh is 1 already.
            let e = exp(2.0 * clamp(inner, -10.0, 10.0));
            let share = e / (e + 1.0);
            let slope = 0.7978845608 * (1.0 + 0.134145 * value * value);
            dx[i] = dy[i] * (share + 2.0 * value * share / (e + 1.0) * slope);
        }
    }
}

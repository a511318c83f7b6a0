// y = x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³))).
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
// len
@group(0) @binding(2) var<uniform> info: array<vec4<u32>, 1>;

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
            // tanh of large numbers is NaN on some drivers; at 10 it is 1.
            y[i] = 0.5 * value * (1.0 + tanh(clamp(inner, -10.0, 10.0)));
        }
    }
}

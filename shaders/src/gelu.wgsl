// y = x · Φ(x).
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
            y[i] = value * normal(value, exp(-0.5 * value * value));
        }
    }
}

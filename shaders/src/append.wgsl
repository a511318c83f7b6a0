// Keys behind keys, values behind values.
@group(0) @binding(0) var<storage, read_write> kept_keys: array<f32>;
@group(0) @binding(1) var<storage, read_write> added_keys: array<f32>;
@group(0) @binding(2) var<storage, read_write> kept_values: array<f32>;
@group(0) @binding(3) var<storage, read_write> added_values: array<f32>;
@group(0) @binding(4) var<storage, read_write> keys: array<f32>;
@group(0) @binding(5) var<storage, read_write> values: array<f32>;
// kept, all
@group(0) @binding(6) var<uniform> info: array<vec4<u32>, 1>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = first_element(group, groups, local);
    let kept = info[0].x;
    for (var part = 0u; part < ELEMENTS; part++) {
        let i = first + part * LANES;
        if i < kept {
            keys[i] = kept_keys[i];
            values[i] = kept_values[i];
        } else if i < info[0].y {
            keys[i] = added_keys[i - kept];
            values[i] = added_values[i - kept];
        }
    }
}

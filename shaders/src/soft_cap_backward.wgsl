// dx = dy · scale · (1 − (y/cap)²).
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
// len, scale, cap
@group(0) @binding(3) var<uniform> info: array<vec4<u32>, 1>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = first_element(group, groups, local);
    let scale = bitcast<f32>(info[0].y);
    let cap = bitcast<f32>(info[0].z);
    for (var part = 0u; part < ELEMENTS; part++) {
        let i = first + part * LANES;
        if i < info[0].x {
            let t = y[i] / cap;
            dx[i] = dy[i] * scale * (1.0 - t * t);
        }
    }
}

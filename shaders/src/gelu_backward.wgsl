// dx = dy · (Φ(x) + x · e^(−x²/2) / √(2π)).
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
            let bell = exp(-0.5 * value * value);
            dx[i] = dy[i] * (normal(value, bell) + 0.3989423 * value * bell);
        }
    }
}

// dx = dy · (Φ(x) + x · e^(−x²/2) / √(2π)), Φ(−|x|) = t · P(t) · e^(−x²/2), t = 1 / (1 + |x|/4); P as in gelu.rs.
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
            let t = 1.0 / (1.0 + 0.25 * abs(value));
            var p = 0.020137033 * t - 0.0823398;
            p = p * t + 0.09808474;
            p = p * t - 0.033975494;
            p = p * t + 0.06487894;
            p = p * t + 0.05861827;
            p = p * t + 0.08166269;
            p = p * t + 0.09346148;
            p = p * t + 0.09973658;
            p = p * t + 0.099735566;
            let bell = exp(-0.5 * value * value);
            let tail = t * p * bell;
            dx[i] = dy[i] * (select(1.0 - tail, tail, value < 0.0) + 0.3989423 * value * bell);
        }
    }
}

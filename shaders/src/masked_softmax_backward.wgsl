// ds = scale · p · (dp − Σ p·dp) over each row.
@group(0) @binding(0) var<storage, read_write> p: array<f32>;
@group(0) @binding(1) var<storage, read_write> dp: array<f32>;
@group(0) @binding(2) var<storage, read_write> ds: array<f32>;
// rows, keys, scale
@group(0) @binding(3) var<uniform> info: array<vec4<u32>, 1>;

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = row_of(group, groups, local);
    let lane = lane_of(local);
    if row >= info[0].x {
        return;
    }
    let keys = info[0].y;
    let scale = bitcast<f32>(info[0].z);
    let start = row * keys;
    var sum = 0.0;
    for (var j = lane; j < keys; j += LANES) {
        sum += p[start + j] * dp[start + j];
    }
    let total = row_sum(sum, lane);
    for (var j = lane; j < keys; j += LANES) {
        ds[start + j] = scale * p[start + j] * (dp[start + j] - total);
    }
}

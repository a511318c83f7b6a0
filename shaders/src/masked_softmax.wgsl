// p = softmax(scale · s) over the allowed keys of each row, 0 elsewhere and in rows that may see nothing. Query q sees key j if
// j <= q + offset, j > q + offset − window where there is a window, and the example's mask at j is not 0.
@group(0) @binding(0) var<storage, read_write> scores: array<f32>;
@group(0) @binding(1) var<storage, read_write> mask: array<f32>;
@group(0) @binding(2) var<storage, read_write> p: array<f32>;
// rows, keys, queries, rows an example; offset, window, scale
@group(0) @binding(3) var<uniform> info: array<vec4<u32>, 2>;

// Below every score; not −∞, which WGSL lets a compiler assume away.
const LOWEST: f32 = -3.0e38;

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
    let scale = bitcast<f32>(info[1].z);
    let start = row * keys;
    let masks = (row / info[0].w) * keys;
    let last = (row % info[0].z) + info[1].x;
    let end = min(last + 1u, keys);
    var begin = 0u;
    if info[1].y > 0u && last + 1u > info[1].y {
        begin = last + 1u - info[1].y;
    }
    var most = LOWEST;
    for (var j = begin + lane; j < end; j += LANES) {
        if mask[masks + j] != 0.0 {
            most = max(most, scores[start + j] * scale);
        }
    }
    let peak = row_max(most, lane);
    var sum = 0.0;
    for (var j = begin + lane; j < end; j += LANES) {
        if mask[masks + j] != 0.0 {
            sum += exp(scores[start + j] * scale - peak);
        }
    }
    let total = row_sum(sum, lane);
    var share = 0.0;
    if total > 0.0 {
        share = 1.0 / total;
    }
    for (var j = lane; j < keys; j += LANES) {
        var value = 0.0;
        if j >= begin && j < end {
            if mask[masks + j] != 0.0 {
                value = exp(scores[start + j] * scale - peak) * share;
            }
        }
        p[start + j] = value;
    }
}

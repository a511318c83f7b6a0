// loss = log Σ exp(logits) − logits[target] of each row; 0 where the target is not one of the vocabulary (−100: ignored).
@group(0) @binding(0) var<storage, read_write> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> targets: array<f32>;
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;
// rows, vocab
@group(0) @binding(3) var<uniform> info: array<vec4<u32>, 1>;

// Elements that one accumulator adds up before its sum moves on: long sums in f32 lose digits.
const STRETCH: u32 = 256u;

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
    let vocab = info[0].y;
    let start = row * vocab;
    var most = -3.0e38;
    for (var j = lane; j < vocab; j += LANES) {
        most = max(most, logits[start + j]);
    }
    let peak = row_max(most, lane);
    var sum = 0.0;
    for (var begin = 0u; begin < vocab; begin += STRETCH * LANES) {
        let end = min(begin + STRETCH * LANES, vocab);
        var part = 0.0;
        for (var j = begin + lane; j < end; j += LANES) {
            part += exp(logits[start + j] - peak);
        }
        sum += part;
    }
    let total = row_sum(sum, lane);
    if lane == 0u {
        let label = targets[row];
        var value = 0.0;
        if label >= 0.0 && label < f32(vocab) {
            value = log(total) - (logits[start + u32(label)] - peak);
        }
        loss[row] = value;
    }
}

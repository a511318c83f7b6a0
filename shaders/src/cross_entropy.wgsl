// loss = log Σ exp(logits) − logits[target] of each row; 0 where the target is not one of the vocabulary (−100: ignored).
@group(0) @binding(0) var<storage, read_write> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> targets: array<f32>;
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;
// rows, vocab
@group(0) @binding(3) var<uniform> info: array<vec4<u32>, 1>;

// Elements that one accumulator adds up before its sum moves on: long sums in f32 lose digits.
const STRETCH: u32 = 256u;
// Elements a turn of a loop: lavapipe ends all loops of an invocation after 65535 turns together, and vocabularies are larger.
const TURN: u32 = 16u * LANES;

// Logits at, at + LANES, at + 2 LANES, at + 3 LANES.
fn four(at: u32) -> vec4<f32> {
    return vec4<f32>(logits[at], logits[at + LANES], logits[at + 2u * LANES], logits[at + 3u * LANES]);
}

// The largest of the sixteen logits of a turn.
fn turn_max(at: u32) -> f32 {
    let low = max(four(at), four(at + 4u * LANES));
    let high = max(four(at + 8u * LANES), four(at + 12u * LANES));
    let most = max(low, high);
    return max(max(most.x, most.y), max(most.z, most.w));
}

// Σ exp(logit − peak) of the sixteen logits of a turn.
fn turn_sum(at: u32, peak: f32) -> f32 {
    let low = exp(four(at) - peak) + exp(four(at + 4u * LANES) - peak);
    let high = exp(four(at + 8u * LANES) - peak) + exp(four(at + 12u * LANES) - peak);
    return dot(low + high, vec4<f32>(1.0));
}

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
    var i = lane;
    for (; i + TURN - LANES < vocab; i += TURN) {
        most = max(most, turn_max(start + i));
    }
    for (; i < vocab; i += LANES) {
        most = max(most, logits[start + i]);
    }
    let peak = row_max(most, lane);
    var sum = 0.0;
    for (var begin = 0u; begin < vocab; begin += STRETCH * LANES) {
        let end = min(begin + STRETCH * LANES, vocab);
        var part = 0.0;
        var j = begin + lane;
        for (; j + TURN - LANES < end; j += TURN) {
            part += turn_sum(start + j, peak);
        }
        for (; j < end; j += LANES) {
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


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

// The largest logit of a row.
fn peak_of(start: u32, vocab: u32, lane: u32) -> f32 {
    var most = -3.0e38;
    var i = lane;
    for (; i + TURN - LANES < vocab; i += TURN) {
        most = max(most, turn_max(start + i));
    }
    for (; i < vocab; i += LANES) {
        most = max(most, logits[start + i]);
    }
    return row_max(most, lane);
}

// Σ exp(logit − peak) of a row.
fn total_of(start: u32, vocab: u32, lane: u32, peak: f32) -> f32 {
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
    return row_sum(sum, lane);
}


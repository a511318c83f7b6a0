// dlogits = scale · (softmax(logits) − onehot(target)); a row of 0 where the target is not one of the vocabulary.
@group(0) @binding(0) var<storage, read_write> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> targets: array<f32>;
@group(0) @binding(2) var<storage, read_write> dlogits: array<f32>;
// rows, vocab, scale
@group(0) @binding(3) var<uniform> info: array<vec4<u32>, 1>;

// factor · exp(logit − peak) of four logits.
fn store_four(at: u32, factor: f32, peak: f32) {
    let values = factor * exp(four(at) - peak);
    dlogits[at] = values.x;
    dlogits[at + LANES] = values.y;
    dlogits[at + 2u * LANES] = values.z;
    dlogits[at + 3u * LANES] = values.w;
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
    let peak = peak_of(start, vocab, lane);
    let total = total_of(start, vocab, lane, peak);
    let label = targets[row];
    var scale = 0.0;
    var hot = vocab;
    if label >= 0.0 && label < f32(vocab) {
        scale = bitcast<f32>(info[0].z);
        hot = u32(label);
    }
    let factor = scale / total;
    var k = lane;
    for (; k + TURN - LANES < vocab; k += TURN) {
        store_four(start + k, factor, peak);
        store_four(start + k + 4u * LANES, factor, peak);
        store_four(start + k + 8u * LANES, factor, peak);
        store_four(start + k + 12u * LANES, factor, peak);
    }
    for (; k < vocab; k += LANES) {
        dlogits[start + k] = factor * exp(logits[start + k] - peak);
    }
    // The same invocation wrote it above.
    if hot < vocab && hot % LANES == lane {
        dlogits[start + hot] -= scale;
    }
}

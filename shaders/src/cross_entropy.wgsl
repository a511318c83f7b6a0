// loss = log Σ exp(logits) − logits[target] of each row; 0 where the target is not one of the vocabulary (−100: ignored).
@group(0) @binding(0) var<storage, read_write> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> targets: array<f32>;
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;
// rows, vocab
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
    let vocab = info[0].y;
    let start = row * vocab;
    let peak = peak_of(start, vocab, lane);
    let total = total_of(start, vocab, lane, peak);
    if lane == 0u {
        let label = targets[row];
        var value = 0.0;
        if label >= 0.0 && label < f32(vocab) {
            value = log(total) - (logits[start + u32(label)] - peak);
        }
        loss[row] = value;
    }
}

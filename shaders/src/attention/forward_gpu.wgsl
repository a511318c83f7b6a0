@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let block = first_block() + group.y * groups.x + group.x;
    let down = (info[0].x + ROWS - 1u) / ROWS;
    let top = (block % down) * ROWS;
    let head = (block / down) % info[0].z;
    let example = block / down / info[0].z;
    if example >= info[1].z {
        return;
    }
    let shared_head = head / info[0].w;
    let x = local % 16u;
    let y = local / 16u;
    // Of the rows y, y + 16, …: the largest score so far, and Σ exp(score − peak) over this invocation's columns.
    var peak = vec4<f32>(LOWEST);
    var sum = vec4<f32>(0.0);
$START
$SPAN
    for (var first = span.x; first < span.y; first += 32u) {
$PRODUCT
        let key = first + 2u * x;
$SCORE
        scratch[local] = $PEAKS;
        workgroupBarrier();
        var next = peak;
        for (var i = 0u; i < 16u; i++) {
            next = max(next, scratch[y * 16u + i]);
        }
        let fade = exp(peak - next);
        peak = next;
$SHARES
        sum = sum * fade + $SUMS;
        workgroupBarrier();
$MIX
    }
    scratch[local] = sum;
    workgroupBarrier();
    var total = vec4<f32>(0.0);
    for (var i = 0u; i < 16u; i++) {
        total += scratch[y * 16u + i];
    }
$STORE
}

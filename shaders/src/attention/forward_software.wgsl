@compute @workgroup_size(16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let block = first_block() + group.y * groups.x + group.x;
    let down = (info[0].x + 15u) / 16u;
    let top = (block % down) * 16u;
    let query = top + local;
    let head = (block / down) % info[0].z;
    let example = block / down / info[0].z;
    if example >= info[1].z || query >= info[0].x {
        return;
    }
    let shared_head = head / info[0].w;
    let here = query_place(example, head, query);
    var peak = LOWEST;
    var sum = 0.0;
$START
    // The same for all rows of the workgroup, so that they read the same keys.
$SPAN
    for (var key = span.x; key < span.y; key++) {
        if sees(example, query, key) {
            let there = key_place(example, shared_head, key);
$PRODUCT
            let s = score(dot(product, vec4<f32>(1.0)), head, query, key);
            let next = max(peak, s);
            let fade = exp(peak - next);
            let p = exp(s - next);
            peak = next;
            sum = sum * fade + p;
$MIX
        }
    }
    let share = select(1.0 / sum, 0.0, sum == 0.0);
$STORE
    logs[row_place(example, head, query)] = select(peak + log(sum), 0.0, sum == 0.0);
}

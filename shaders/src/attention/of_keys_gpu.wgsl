@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let block = first_block() + group.y * groups.x + group.x;
    let down = (info[0].y + ROWS - 1u) / ROWS;
    let top = (block % down) * ROWS;
    let shared_heads = info[0].z / info[0].w;
    let shared_head = (block / down) % shared_heads;
    let example = block / down / shared_heads;
    if example >= info[1].z {
        return;
    }
    let x = local % 16u;
    let y = local / 16u;
$START
$SPAN
    for (var member = 0u; member < info[0].w; member++) {
        let head = shared_head * info[0].w + member;
        for (var first = span.x; first < span.y; first += 32u) {
$PRODUCTS
            let query = first + 2u * x;
            let note_0 = notes_of(example, head, query);
            let note_1 = notes_of(example, head, query + 1u);
$SHARES_OF_VALUES
            workgroupBarrier();
$MIX_VALUES
$SHARES_OF_KEYS
            workgroupBarrier();
$MIX_KEYS
        }
    }
$STORE
}

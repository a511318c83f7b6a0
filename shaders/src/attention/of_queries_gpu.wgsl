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
$START
$SPAN
    for (var first = span.x; first < span.y; first += 32u) {
$PRODUCTS
        let key = first + 2u * x;
$GRADIENTS
        workgroupBarrier();
$MIX
    }
$STORE
}

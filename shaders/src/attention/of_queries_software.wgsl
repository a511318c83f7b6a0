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
    let note = notes_of(example, head, query);
$START
$SPAN
    for (var key = span.x; key < span.y; key++) {
        if sees(example, query, key) {
            let there = key_place(example, shared_head, key);
$PRODUCTS
            let s = score(dot(product, vec4<f32>(1.0)), head, query, key);
            let g = gradient(s, dot(dp, vec4<f32>(1.0)), note).y;
$MIX
        }
    }
$STORE
}

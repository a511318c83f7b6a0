@compute @workgroup_size(16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let block = first_block() + group.y * groups.x + group.x;
    let down = (info[0].y + 15u) / 16u;
    let top = (block % down) * 16u;
    let key = top + local;
    let shared_heads = info[0].z / info[0].w;
    let shared_head = (block / down) % shared_heads;
    let example = block / down / shared_heads;
    if example >= info[1].z || key >= info[0].y {
        return;
    }
    let here = key_place(example, shared_head, key);
$START
$SPAN
    for (var member = 0u; member < info[0].w; member++) {
        let head = shared_head * info[0].w + member;
        for (var query = span.x; query < span.y; query++) {
            if sees(example, query, key) {
                let there = query_place(example, head, query);
$PRODUCTS
                let s = score(dot(product, vec4<f32>(1.0)), head, query, key);
                let g = gradient(s, dot(dp, vec4<f32>(1.0)), notes_of(example, head, query));
$MIX
            }
        }
    }
$STORE
}

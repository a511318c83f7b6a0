@compute @workgroup_size(16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let block = first_block() + group.y * groups.x + group.x;
    let queries = info[0].x;
    let diagonals = queries + info[0].y - 1u;
    let bands = (diagonals + 15u) / 16u;
    let diagonal = (block % bands) * 16u + local;
    let head = block / bands;
    if head >= info[0].z || diagonal >= diagonals {
        return;
    }
    let shared_head = head / info[0].w;
    var total = 0.0;
    for (var example = 0u; example < info[1].z; example++) {
        var part = 0.0;
        for (var query = 0u; query < queries; query++) {
            // Before key 0 it is a number beyond all keys.
            let key = query + diagonal - (queries - 1u);
            if sees(example, query, key) {
                let here = query_place(example, head, query);
                let there = key_place(example, shared_head, key);
$PRODUCTS
                let s = score(dot(product, vec4<f32>(1.0)), head, query, key);
                part += gradient(s, dot(dp, vec4<f32>(1.0)), notes_of(example, head, query)).y;
            }
        }
        total += part;
    }
    dbias[diagonal * info[0].z + head] = total;
}

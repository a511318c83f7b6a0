// A band of 32 diagonals: of 32 queries it takes the 63 keys that lie in two tiles, each of them to be added along diagonals.
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let block = first_block() + group.y * groups.x + group.x;
    let queries = info[0].x;
    let diagonals = queries + info[0].y - 1u;
    let bands = (diagonals + 31u) / 32u;
    let low = (block % bands) * 32u;
    let head = block / bands;
    if head >= info[0].z {
        return;
    }
    let shared_head = head / info[0].w;
    let x = local % 16u;
    let y = local / 16u;
    var total = 0.0;
    for (var example = 0u; example < info[1].z; example++) {
        var part = 0.0;
        for (var top = 0u; top < queries; top += ROWS) {
$START
            for (var half = 0u; half < 2u; half++) {
                // A key before key 0 has a number beyond all keys.
                let first = top + low + 32u * half - (queries - 1u);
                if i32(first) >= i32(info[0].y) || i32(first) < -31 {
                    continue;
                }
$PRODUCTS
                let key = first + 2u * x;
$GRADIENTS
                workgroupBarrier();
                if local < 32u {
                    for (var row = 0u; row < 32u; row++) {
                        let column = row + local - 32u * half;
                        if column < 32u {
                            let pair = shares[row * 16u + column / 2u];
                            part += select(pair.x, pair.y, column % 2u == 1u);
                        }
                    }
                }
                workgroupBarrier();
            }
        }
        total += part;
    }
    if local < 32u && low + local < diagonals {
        dbias[(low + local) * info[0].z + head] = total;
    }
}

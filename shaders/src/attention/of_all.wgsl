// Workgroups of keys, which have more to do, and behind them those of queries.
@compute @workgroup_size($SIZE)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let block = first_block() + group.y * groups.x + group.x;
    let blocks_of_keys = (info[0].y + $ROWS - 1u) / $ROWS * (info[0].z / info[0].w) * info[1].z;
    if block < blocks_of_keys {
        of_keys(block, local);
    } else {
        of_queries(block - blocks_of_keys, local);
    }
}

// One to four rows of a, on a GPU with subgroups: a workgroup computes eight columns, which are rows of W. A subgroup takes one
// column after another; its invocations share the sum and read neighbouring pieces of the row, and nobody waits for others.
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) lanes: u32,
) {
    let n = info[0].y;
    let k = info[0].z;
    let block = block_of(group, groups);
    if block.z >= examples() {
        return;
    }
    let left = block.x * BLOCK_COLUMNS;
    for (var own = subgroup; own < BLOCK_COLUMNS; own += subgroups) {
        let column = min(left + own, n - 1u);
$START
        for (var p = 8u * lane; p < k; p += 8u * lanes) {
            let y = eight(column, p);
$STEP
        }
$STORE
    }
}

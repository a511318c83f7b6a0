
// On a software adapter: each invocation computes a block of outputs in registers, and no invocation waits for another. Rows
// and columns past the edge are computed from the last real ones and not stored.
@compute @workgroup_size($LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let m = info[0].x;
    let n = info[0].y;
    let k = info[0].z;
    let block = block_of(group, groups);
    let row = block.y * BLOCK_ROWS;
    let column = (block.x * $LANESu + local) * $COLUMNSu;
    if block.z >= examples() || column >= n {
        return;
    }
$START
    for (var p = 0u; p < k; p += $DEPTHu) {
$STEP
    }
$STORE
}

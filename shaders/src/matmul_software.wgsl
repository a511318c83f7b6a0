// out = alpha · op(A) · op(B) + add, on a software adapter: each invocation computes a block of outputs in registers, and no
// invocation waits for another. Rows and columns past the edge are computed from the last real one and not stored, so that
// the loop has no branch. Where the shape allows, A and B are read four elements at a time.
@compute @workgroup_size($LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let block = block_of(group, groups);
    if block.z >= examples() {
        return;
    }
    let shape = shape_of(block.z);
    let m = shape.x;
    let n = shape.y;
    let k = shape.z;
    let row = $ROW;
    let column = $COLUMN;
    if row >= m || column >= n {
        return;
    }
    let a_down = select(k, 1u, A_TRANS);
    let a_along = select(1u, m, A_TRANS);
    let b_down = select(1u, k, B_TRANS);
    let b_along = select(n, 1u, B_TRANS);
$START
    for (var p = 0u; p < k; p += $DEPTHu) {
$STEP
    }
$STORE
}

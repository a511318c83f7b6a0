// out = alpha · op(A) · op(B) + add for one to four rows, on a GPU: a workgroup computes COLUMNS columns; LANES invocations share
// the sum of one. Neighbouring invocations read neighbouring elements of B.
const ROWS: u32 = $ROWSu;
const COLUMNS: u32 = select(32u, 8u, B_TRANS);
const LANES: u32 = 256u / COLUMNS;

var<workgroup> partials: array<f32, 256u * ROWS>;

@compute @workgroup_size(256)
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
    let a_start = a_from(block.z);
    let b_start = b_from(block.z);
    let a_down = select(k, 1u, A_TRANS);
    let a_along = select(1u, m, A_TRANS);
    let own = select(local % COLUMNS, local / LANES, B_TRANS);
    let lane = select(local / COLUMNS, local % LANES, B_TRANS);
    let left = block.x * COLUMNS;
    let column = min(left + own, n - 1u);
$START
    for (var p = lane; p < k; p += LANES) {
        let y = b_at(block.z, b_start + select(p * n + column, column * k + p, B_TRANS));
$STEP
    }
$STORE
    workgroupBarrier();
    for (var i = local; i < ROWS * COLUMNS; i += 256u) {
        let row = i / COLUMNS;
        let place = i % COLUMNS;
        var total = 0.0;
        for (var part = 0u; part < LANES; part++) {
            total += partials[row * 256u + select(part * COLUMNS + place, place * LANES + part, B_TRANS)];
        }
        store(block.z, row, left + place, total);
    }
}

// out = alpha · op(A) · op(B) + add, on a GPU: a workgroup of 16 × 16 computes a tile of outputs, TALL × WIDE of them an
// invocation, from slices of A and B in workgroup memory. Rows of a slice are longer than the tile, against bank conflicts.
const TALL: u32 = $TALLu;
const WIDE: u32 = $WIDEu;
const DEEP: u32 = $DEEPu;
const ROWS: u32 = 16u * TALL;
const COLUMNS: u32 = 16u * WIDE;
// What one element of B's slice holds: so many terms of the sum, of so many columns.
const B_TERMS: u32 = $B_TERMSu;
const B_COLUMNS: u32 = $B_COLUMNSu;
const B_ROW: u32 = COLUMNS / B_COLUMNS + $B_PADu;

var<workgroup> a_slice: array<f32, DEEP * (ROWS + 1u)>;
var<workgroup> b_slice: array<$B_TYPE, DEEP / B_TERMS * B_ROW>;

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
    let top = block.y * ROWS;
    let left = block.x * COLUMNS;
    let x = local % 16u;
    let y = local / 16u;
$START
    let terms = sum_of(block.z);
    for (var start = terms.x; start < terms.y; start += DEEP) {
        for (var i = local; i < DEEP * ROWS; i += 256u) {
            // Neighbouring invocations read neighbouring elements.
            let row = select(i / DEEP, i % ROWS, A_TRANS);
            let p = select(i % DEEP, i / ROWS, A_TRANS);
            var value = 0.0;
            if top + row < m && start + p < k {
                value = a_at(block.z, a_start + select((top + row) * k + start + p, (start + p) * m + top + row, A_TRANS));
            }
            a_slice[p * (ROWS + 1u) + row] = value;
        }
$LOAD_B
        workgroupBarrier();
        for (var p = 0u; p < DEEP; p += B_TERMS) {
$STEP
        }
        workgroupBarrier();
    }
$STORE
}

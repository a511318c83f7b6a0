
// One to four rows of a, on a GPU: a workgroup computes eight columns, which are rows of W; 32 invocations share the sum of one
// and read neighbouring pieces of its row.
const ROWS: u32 = $ROWSu;
const LANES: u32 = 32u;

var<workgroup> partials: array<f32, 256u * ROWS>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let n = info[0].y;
    let k = info[0].z;
    let block = block_of(group, groups);
    if block.z >= examples() {
        return;
    }
    let left = block.x * BLOCK_COLUMNS;
    let column = min(left + local / LANES, n - 1u);
$START
    for (var p = 8u * (local % LANES); p < k; p += 8u * LANES) {
        let y = eight(column, p);
$STEP
    }
$STORE
    workgroupBarrier();
    for (var i = local; i < ROWS * BLOCK_COLUMNS; i += 256u) {
        let row = i / BLOCK_COLUMNS;
        let place = i % BLOCK_COLUMNS;
        var total = 0.0;
        for (var part = 0u; part < LANES; part++) {
            total += partials[row * 256u + place * LANES + part];
        }
        store(0u, row, left + place, total);
    }
}

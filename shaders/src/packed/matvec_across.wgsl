
// One to four rows of a, on a GPU: a workgroup computes 128 columns of W, sixteen pieces of eight; sixteen invocations share the
// sum of one piece, and take four rows of W a step.
const PIECES: u32 = BLOCK_COLUMNS / 8u;
const LANES: u32 = 256u / PIECES;

var<workgroup> partials: array<vec4<f32>, 512>;

// Sums what the invocations have of a row of outputs, and stores it.
fn reduce(row: u32, left: u32, local: u32, lo: vec4<f32>, hi: vec4<f32>) {
    partials[2u * local] = lo;
    partials[2u * local + 1u] = hi;
    workgroupBarrier();
    if local < BLOCK_COLUMNS {
        let piece = local / 8u;
        let j = local % 8u;
        var total = 0.0;
        for (var lane = 0u; lane < LANES; lane++) {
            total += partials[2u * (lane * PIECES + piece) + j / 4u][j % 4u];
        }
        store(0u, row, left + local, total);
    }
}

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
    // Pieces past the edge are computed from the last one and not stored.
    let column = min(left + 8u * (local % PIECES), 8u * ((n - 1u) / 8u));
$START
    for (var p = 4u * (local / PIECES); p < k; p += 4u * LANES) {
        let w0 = eight(p, column);
        let w1 = eight(min(p + 1u, k - 1u), column);
        let w2 = eight(min(p + 2u, k - 1u), column);
        let w3 = eight(min(p + 3u, k - 1u), column);
$STEP
    }
$STORE
}

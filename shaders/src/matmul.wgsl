// What the three texts of the matrix product share: bindings, strides, the numbering of blocks, and how a total is stored.
@group(0) @binding(0) var<storage, read_write> a: array<$A_TYPE>;
@group(0) @binding(1) var<storage, read_write> b: array<$B_TYPE>;
$ADD_BINDING@group(0) @binding($OUT) var<storage, read_write> out: array<f32>;
// m, n, k, batch; alpha
@group(0) @binding($INFO) var<uniform> info: array<vec4<u32>, 2>;

// What a workgroup computes.
const BLOCK_ROWS: u32 = $BLOCK_ROWSu;
const BLOCK_COLUMNS: u32 = $BLOCK_COLUMNSu;
const A_TRANS: bool = $A_TRANS;
const B_TRANS: bool = $B_TRANS;

fn store(example: u32, row: u32, column: u32, total: f32) {
    let m = info[0].x;
    let n = info[0].y;
    if row < m && column < n {
        let place = (example * m + row) * n + column;
        out[place] = bitcast<f32>(info[1].x) * total$ADD;
    }
}


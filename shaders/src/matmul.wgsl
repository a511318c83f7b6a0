// What the three texts of the matrix product share: bindings, strides, the numbering of blocks, and how a total is stored.
@group(0) @binding(0) var<storage, read_write> a: array<$A_TYPE>;
@group(0) @binding(1) var<storage, read_write> b: array<$B_TYPE>;
$ADD_BINDING@group(0) @binding($OUT) var<storage, read_write> out: array<f32>;
// m, n, k, batch or parts; alpha, the number of this launch's first workgroup, 0, terms a part; rank and scale of what is added
// besides
@group(0) @binding($INFO) var<uniform> info: array<vec4<u32>, $INFO_LEN>;

// What a workgroup computes.
const BLOCK_ROWS: u32 = $BLOCK_ROWSu;
const BLOCK_COLUMNS: u32 = $BLOCK_COLUMNSu;
const A_TRANS: bool = $A_TRANS;
const B_TRANS: bool = $B_TRANS;

fn examples() -> u32 {
    return info[0].w;
}

fn shape_of(example: u32) -> vec4<u32> {
    return info[0];
}

fn first_block() -> u32 {
    return info[1].y;
}

// Terms of a sum: from x to under y.
fn sum_of(example: u32) -> vec2<u32> {
    return $SUM;
}

fn a_from(example: u32) -> u32 {
    return $A_FROM;
}

fn b_from(example: u32) -> u32 {
    return $B_FROM;
}

$A_AT$B_ATfn store(example: u32, row: u32, column: u32, total: f32) {
    let m = info[0].x;
    let n = info[0].y;
    if row < m && column < n {
        let place = (example * m + row) * n + column;
        out[place] = bitcast<f32>(info[1].x) * total$ADD;
    }
}


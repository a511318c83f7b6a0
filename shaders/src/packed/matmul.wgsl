// out = a·Wᵀ + add, or a·W + add, with W packed: bindings, and how a total is stored. Sums over W's padding are sums of zeros.
@group(0) @binding(0) var<storage, read_write> a: array<$A_TYPE>;
@group(0) @binding(1) var<storage, read_write> w: array<$W_TYPE>;
$ADD_BINDING@group(0) @binding($OUT) var<storage, read_write> out: array<f32>;
// m, n, k, the number of this launch's first workgroup; W's planes; W's shapes; rank and scale of what is added besides, or
// parts and terms a part
@group(0) @binding($INFO) var<uniform> info: array<vec4<u32>, $INFO_LEN>;

// What a workgroup computes.
const BLOCK_ROWS: u32 = $BLOCK_ROWSu;
const BLOCK_COLUMNS: u32 = $BLOCK_COLUMNSu;
const A_TRANS: bool = false;

// One, or the parts of the sums.
fn examples() -> u32 {
    return $EXAMPLES;
}

fn first_block() -> u32 {
    return info[0].w;
}

// Terms of a sum: from x to under y.
fn sum_of(example: u32) -> vec2<u32> {
    return $SUM;
}

fn shape_of(example: u32) -> vec4<u32> {
    return info[0];
}

fn a_from(example: u32) -> u32 {
    return 0u;
}

fn b_from(example: u32) -> u32 {
    return 0u;
}

$A_ATfn store(example: u32, row: u32, column: u32, total: f32) {
    let m = info[0].x;
    let n = info[0].y;
    if row < m && column < n {
        let place = (example * m + row) * n + column;
        out[place] = total$ADD;
    }
}


// out = a·Wᵀ + add, or a·W + add, with W packed: bindings, and how a total is stored. Sums over W's padding are sums of zeros.
@group(0) @binding(0) var<storage, read_write> a: array<$A_TYPE>;
@group(0) @binding(1) var<storage, read_write> w: array<$W_TYPE>;
$ADD_BINDING@group(0) @binding($OUT) var<storage, read_write> out: array<f32>;
// m, n, k, 1; W's planes; W's shapes; rank and scale of what is added besides
@group(0) @binding($INFO) var<uniform> info: array<vec4<u32>, $INFO_LEN>;

// What a workgroup computes.
const BLOCK_ROWS: u32 = $BLOCK_ROWSu;
const BLOCK_COLUMNS: u32 = $BLOCK_COLUMNSu;
const A_TRANS: bool = false;

// There is one example only.
fn examples() -> u32 {
    return 1u;
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
        let place = row * n + column;
        out[place] = total$ADD;
    }
}


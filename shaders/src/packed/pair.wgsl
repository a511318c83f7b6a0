// Two products with packed matrices of one shape, as one with a matrix that is stacked of both.
$BINDINGS
// m, n and k of the stacked matrix, the number of this launch's first workgroup; planes and shapes of each W; rank and scale of
// what is added besides, and where it begins
@group(0) @binding($INFO) var<uniform> info: array<vec4<u32>, 4>;

// What a workgroup computes.
const BLOCK_ROWS: u32 = $BLOCK_ROWSu;
const BLOCK_COLUMNS: u32 = $BLOCK_COLUMNSu;
const A_TRANS: bool = false;

// Whether words are read of the second matrix.
var<private> is_second: bool = false;

fn word_at(i: u32) -> u32 {
    if is_second {
        return w1[i];
    }
    return w0[i];
}

// Eight numbers of the stacked matrix.
fn eight(row: u32, column: u32) -> Eight {
    let size = $HALF;
    is_second = $STACKED >= size;
    let own = select($STACKED, $STACKED - size, is_second);
    return eight_of($OWN);
}

fn examples() -> u32 {
    return 1u;
}

fn first_block() -> u32 {
    return info[0].w;
}

// Terms of a sum: from x to under y.
fn sum_of(example: u32) -> vec2<u32> {
    return vec2<u32>(0u, info[0].z);
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

// What is added besides, as a product of twice the rank: of the first l and r, then of the second.
fn low_rank() -> u32 {
    return 2u * info[3].x;
}

fn left_of(row: u32, q: u32) -> f32 {
    let rank = info[3].x;
    let of_second = q >= rank;
    let line = min(row, info[0].x - 1u) + select(0u, info[0].x, of_second);
    return bitcast<f32>(info[3].y) * low_left[info[3].z + line * rank + select(q, q - rank, of_second)];
}

fn low_rank_at(row: u32, column: u32) -> f32 {
    var total = 0.0;
    for (var q = 0u; q < low_rank(); q++) {
        total += left_of(row, q) * right_of(column, q);
    }
    return total;
}


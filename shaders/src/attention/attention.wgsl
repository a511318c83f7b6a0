// What all texts of attention share: shapes, scores, and who sees what.
// queries, keys, heads, heads a key head; offset, window, examples, vectors of four in a head's row; scale, cap, the
// number of this launch's first workgroup
@group(0) @binding($INFO) var<uniform> info: array<vec4<u32>, 3>;

// Width of a head, and vectors of four in its row; the last is filled up with zeros.
const DIM: u32 = $DIMu;
const VECTORS: u32 = $VECTORSu;
// Below every score; not −∞, which WGSL lets a compiler assume away.
const LOWEST: f32 = -3.0e38;

fn first_block() -> u32 {
    return info[2].z;
}

// Where a head's row of a query begins.
fn query_place(example: u32, head: u32, query: u32) -> u32 {
    return ((example * info[0].x + query) * info[0].z + head) * DIM;
}

// Where a head's row of a key begins.
fn key_place(example: u32, shared_head: u32, key: u32) -> u32 {
    return ((example * info[0].y + key) * (info[0].z / info[0].w) + shared_head) * DIM;
}

// Where a number of a query's row begins.
fn row_place(example: u32, head: u32, query: u32) -> u32 {
    return (example * info[0].x + query) * info[0].z + head;
}

// Keys that any of the queries first to last sees, the mask aside: from x to under y.
fn key_span(first: u32, last: u32) -> vec2<u32> {
    var begin = 0u;
    if info[1].y > 0u && first + info[1].x + 1u > info[1].y {
        begin = first + info[1].x + 1u - info[1].y;
    }
    return vec2<u32>(begin, min(last + info[1].x + 1u, info[0].y));
}

// Queries that see any of the keys first to last, the mask aside: from x to under y.
fn query_span(first: u32, last: u32) -> vec2<u32> {
    var begin = 0u;
    if first > info[1].x {
        begin = first - info[1].x;
    }
    var end = info[0].x;
    if info[1].y > 0u {
        end = 0u;
        if last + info[1].y > info[1].x {
            end = min(last + info[1].y - info[1].x, info[0].x);
        }
    }
    return vec2<u32>(begin, end);
}

fn sees(example: u32, query: u32, key: u32) -> bool {
    if query >= info[0].x || key >= info[0].y {
        return false;
    }
    let last = query + info[1].x;
    if key > last || (info[1].y > 0u && key + info[1].y <= last) {
        return false;
    }
    return $IS_PRESENT;
}

// The score of a product of q and k.
fn score(product: f32, head: u32, query: u32, key: u32) -> f32 {
    let scaled = bitcast<f32>(info[2].x) * (product$BIAS);
    let cap = bitcast<f32>(info[2].y);
    if cap > 0.0 {
        // tanh of large numbers is NaN on some drivers; at 10 it is 1.
        return cap * tanh(clamp(scaled / cap, -10.0, 10.0));
    }
    return scaled;
}


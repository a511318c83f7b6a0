// One query, the tokens that a cache holds, and the query's own token behind them.
@group(0) @binding(0) var<storage, read_write> queries: array<$NUMBER>;
@group(0) @binding(1) var<storage, read_write> keys: array<$NUMBER>;
@group(0) @binding(2) var<storage, read_write> values: array<$NUMBER>;
@group(0) @binding(3) var<storage, read_write> cosines: array<$NUMBER>;
@group(0) @binding(4) var<storage, read_write> sines: array<$NUMBER>;
@group(0) @binding(5) var<storage, read_write> kept: array<$NUMBER>;
@group(0) @binding(6) var<storage, read_write> out: array<$NUMBER>;
@group(0) @binding(7) var<storage, read_write> all: array<$NUMBER>;
// heads, heads a key head, tokens that are kept, width of a head; the first key that is seen, scale, cap
@group(0) @binding(8) var<uniform> info: array<vec4<u32>, 2>;

// Below every score; not −∞, which WGSL lets a compiler assume away.
const LOWEST: f32 = -3.0e38;

fn score(product: f32) -> f32 {
    let scaled = bitcast<f32>(info[1].y) * product;
    let cap = bitcast<f32>(info[1].z);
    if cap > 0.0 {
        // tanh of large numbers is NaN on some drivers; at 10 it is 1.
        return cap * tanh(clamp(scaled / cap, -10.0, 10.0));
    }
    return scaled;
}


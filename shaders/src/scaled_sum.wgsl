// scale · Σ x, by one workgroup.
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> total: array<f32>;
// len, scale
@group(0) @binding(2) var<uniform> info: array<vec4<u32>, 1>;

// Elements that one accumulator adds up before its sum moves on: long sums in f32 lose digits.
const STRETCH: u32 = 256u;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(local_invocation_index) local: u32) {
    let len = info[0].x;
    var sum = 0.0;
    for (var begin = 0u; begin < len; begin += STRETCH * LANES) {
        let end = min(begin + STRETCH * LANES, len);
        var part = 0.0;
        for (var i = begin + local; i < end; i += LANES) {
            part += x[i];
        }
        sum += part;
    }
    let all = row_sum(sum, local);
    if local == 0u {
        total[0] = all * bitcast<f32>(info[0].y);
    }
}

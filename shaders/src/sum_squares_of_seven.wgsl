// Σ x² of each of seven tensors, by one workgroup each, in the order of sum_squares.wgsl.
@group(0) @binding(0) var<storage, read_write> x0: array<f32>;
@group(0) @binding(1) var<storage, read_write> x1: array<f32>;
@group(0) @binding(2) var<storage, read_write> x2: array<f32>;
@group(0) @binding(3) var<storage, read_write> x3: array<f32>;
@group(0) @binding(4) var<storage, read_write> x4: array<f32>;
@group(0) @binding(5) var<storage, read_write> x5: array<f32>;
@group(0) @binding(6) var<storage, read_write> x6: array<f32>;
@group(0) @binding(7) var<storage, read_write> totals: array<f32>;
// len of each
@group(0) @binding(8) var<uniform> info: array<vec4<u32>, 2>;

// Elements that one accumulator adds up before its sum moves on: long sums in f32 lose digits.
const STRETCH: u32 = 256u;

fn square(tensor: u32, i: u32) -> f32 {
    var x: f32;
    switch tensor {
        case 0u: { x = x0[i]; }
        case 1u: { x = x1[i]; }
        case 2u: { x = x2[i]; }
        case 3u: { x = x3[i]; }
        case 4u: { x = x4[i]; }
        case 5u: { x = x5[i]; }
        default: { x = x6[i]; }
    }
    return x * x;
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let tensor = group.x;
    let len = info[tensor / 4u][tensor % 4u];
    var sum = 0.0;
    for (var begin = 0u; begin < len; begin += STRETCH * LANES) {
        let end = min(begin + STRETCH * LANES, len);
        var part = 0.0;
        for (var i = begin + local; i < end; i += LANES) {
            part += square(tensor, i);
        }
        sum += part;
    }
    let all = row_sum(sum, local);
    if local == 0u {
        totals[tensor] = all;
    }
}

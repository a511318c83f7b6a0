// The norm of a step's gradients, and the factor that clips them. Whatever is no finite number ends the steps for good.
@group(0) @binding(0) var<storage, read_write> losses: array<f32>;
@group(0) @binding(1) var<storage, read_write> squares: array<f32>;
@group(0) @binding(2) var<storage, read_write> last: array<f32>;
// Losses, squares, the factor, whether the steps have come to an end.
@group(0) @binding(3) var<storage, read_write> found: array<f32>;
// losses, squares, numbers of the step before, max_norm
@group(0) @binding(4) var<uniform> info: array<vec4<u32>, 1>;

// By its bits: a compiler may take it that there are no others.
fn is_finite(bits: u32) -> bool {
    return (bits & 0x7f800000u) != 0x7f800000u;
}

@compute @workgroup_size(1)
fn main() {
    let count = info[0].xy;
    var loss = 0.0;
    for (var i = 0u; i < count.x; i++) {
        loss += losses[i];
        found[i] = losses[i];
    }
    var sum = 0.0;
    for (var i = 0u; i < count.y; i++) {
        sum += squares[i];
        found[count.x + i] = squares[i];
    }
    let ended = last[info[0].z - 1u] != 0.0 || !is_finite(bitcast<u32>(loss)) || !is_finite(bitcast<u32>(sum));
    let most = bitcast<f32>(info[0].w);
    var factor = 1.0;
    if most > 0.0 {
        factor = min(1.0, most / (sqrt(sum) + 1e-6));
    }
    found[count.x + count.y] = select(factor, 0.0, ended);
    found[count.x + count.y + 1u] = select(0.0, 1.0, ended);
}

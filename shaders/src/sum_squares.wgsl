// Σ x² of stretches of x, by one workgroup each.
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> totals: array<f32>;
// len, stretches, elements of a stretch
@group(0) @binding(2) var<uniform> info: array<vec4<u32>, 1>;

// Elements that one accumulator adds up before its sum moves on: long sums in f32 lose digits.
const STRETCH: u32 = 256u;

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let number = group.y * groups.x + group.x;
    if number >= info[0].y {
        return;
    }
    let first = min(number * info[0].z, info[0].x);
    let last = min(first + info[0].z, info[0].x);
    var sum = 0.0;
    for (var begin = first; begin < last; begin += STRETCH * LANES) {
        let end = min(begin + STRETCH * LANES, last);
        var part = 0.0;
        for (var i = begin + local; i < end; i += LANES) {
            part += x[i] * x[i];
        }
        sum += part;
    }
    let all = row_sum(sum, local);
    if local == 0u {
        totals[number] = all;
    }
}

// Rotates the pairs (i, i + dim/2) of each head: y1 = x1·cos − x2·sin, y2 = x2·cos + x1·sin; the sign of sin is in info.
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> cosines: array<f32>;
@group(0) @binding(2) var<storage, read_write> sines: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
// pairs, dim/2, tokens, tokens·heads; the step between two examples' tables, ±1
@group(0) @binding(4) var<uniform> info: array<vec4<u32>, 2>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = first_element(group, groups, local);
    let pairs = info[0].x;
    let half = info[0].y;
    let direction = bitcast<f32>(info[1].y);
    for (var part = 0u; part < ELEMENTS; part++) {
        let pair = first + part * LANES;
        if pair < pairs {
            let row = pair / half;
            let column = pair - row * half;
            let table = (row / info[0].w) * info[1].x + (row % info[0].z) * half + column;
            let here = row * half * 2u + column;
            let left = x[here];
            let right = x[here + half];
            let c = cosines[table];
            let s = sines[table] * direction;
            y[here] = left * c - right * s;
            y[here + half] = right * c + left * s;
        }
    }
}

// Rotates the pairs (i, i + dim/2) of each head of queries, then of keys: y1 = x1·cos − x2·sin, y2 = x2·cos + x1·sin; the sign of
// sin is in info.
@group(0) @binding(0) var<storage, read_write> q: array<f32>;
@group(0) @binding(1) var<storage, read_write> k: array<f32>;
@group(0) @binding(2) var<storage, read_write> cosines: array<f32>;
@group(0) @binding(3) var<storage, read_write> sines: array<f32>;
@group(0) @binding(4) var<storage, read_write> new_q: array<f32>;
@group(0) @binding(5) var<storage, read_write> new_k: array<f32>;
// pairs of queries, of keys, dim/2, tokens; heads of queries, of keys, ±1
@group(0) @binding(6) var<uniform> info: array<vec4<u32>, 2>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = first_element(group, groups, local);
    let of_queries = info[0].x;
    let half = info[0].z;
    let direction = bitcast<f32>(info[1].z);
    for (var part = 0u; part < ELEMENTS; part++) {
        let pair = first + part * LANES;
        if pair < of_queries + info[0].y {
            let is_key = pair >= of_queries;
            let own = select(pair, pair - of_queries, is_key);
            let row = own / half;
            let column = own - row * half;
            let token = (row / select(info[1].x, info[1].y, is_key)) % info[0].w;
            let c = cosines[token * half + column];
            let s = sines[token * half + column] * direction;
            let here = row * half * 2u + column;
            if is_key {
                let left = k[here];
                let right = k[here + half];
                new_k[here] = left * c - right * s;
                new_k[here + half] = right * c + left * s;
            } else {
                let left = q[here];
                let right = q[here + half];
                new_q[here] = left * c - right * s;
                new_q[here + half] = right * c + left * s;
            }
        }
    }
}

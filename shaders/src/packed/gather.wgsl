// y[t] = row ids[t] − first row of the table; a row of 0 where it has none. Eight columns an element of work.
@group(0) @binding(0) var<storage, read_write> ids: array<f32>;
@group(0) @binding(1) var<storage, read_write> w: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
// tokens · pieces, pieces a row, rows, first row; the table's planes and shapes
@group(0) @binding(3) var<uniform> info: array<vec4<u32>, 3>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = first_element(group, groups, local);
    let width = info[2].w;
    for (var part = 0u; part < ELEMENTS; part++) {
        let work = first + part * LANES;
        if work < info[0].x {
            let token = work / info[0].y;
            let column = 8u * (work - token * info[0].y);
            let row = ids[token] - f32(info[0].w);
            var values = Eight();
            if row >= 0.0 && row < f32(info[0].z) {
                values = eight(u32(row), column);
            }
            let place = token * width + column;
            for (var j = 0u; j < min(8u, width - column); j++) {
                y[place + j] = select(values.lo[j & 3u], values.hi[j & 3u], j >= 4u);
            }
        }
    }
}

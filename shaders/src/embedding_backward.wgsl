// dw[i] = Σ of dy[t] over the tokens t whose id is i. Each element of work owns up to 16 columns of one row of dw and looks
// through all ids, so the sums have one order and no two invocations meet.
@group(0) @binding(0) var<storage, read_write> ids: array<f32>;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;
// vocab · pieces, tokens, width, pieces a row; the number of this launch's first workgroup
@group(0) @binding(3) var<uniform> info: array<vec4<u32>, 2>;

const PIECE: u32 = 16u;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = info[1].x * (LANES * ELEMENTS) + first_element(group, groups, local);
    let width = info[0].z;
    for (var part = 0u; part < ELEMENTS; part++) {
        let work = first + part * LANES;
        if work < info[0].x {
            let row = work / info[0].w;
            let begin = (work - row * info[0].w) * PIECE;
            let end = min(begin + PIECE, width);
            for (var j = begin; j < end; j++) {
                dw[row * width + j] = 0.0;
            }
            for (var t = 0u; t < info[0].y; t++) {
                if ids[t] == f32(row) {
                    for (var j = begin; j < end; j++) {
                        dw[row * width + j] += dy[t * width + j];
                    }
                }
            }
        }
    }
}

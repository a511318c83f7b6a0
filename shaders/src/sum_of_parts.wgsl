// out = alpha · Σ parts + add, the parts in their order.
@group(0) @binding(0) var<storage, read_write> parts: array<f32>;
$ADD_BINDING@group(0) @binding($OUT) var<storage, read_write> out: array<f32>;
// m, n, parts, alpha; rank and scale of what is added besides
@group(0) @binding($INFO) var<uniform> info: array<vec4<u32>, $INFO_LEN>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = first_element(group, groups, local);
    let len = info[0].x * info[0].y;
    for (var element = 0u; element < ELEMENTS; element++) {
        let place = first + element * LANES;
        if place < len {
            let row = place / info[0].y;
            let column = place - row * info[0].y;
            var total = parts[place];
            for (var part = 1u; part < info[0].z; part++) {
                total += parts[part * len + place];
            }
            out[place] = bitcast<f32>(info[0].w) * total$ADD;
        }
    }
}

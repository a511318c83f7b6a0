// y[t] = w[ids[t]]; a row of 0 where the id is not one of the vocabulary.
@group(0) @binding(0) var<storage, read_write> ids: array<f32>;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
// tokens · width, width, vocab
@group(0) @binding(3) var<uniform> info: array<vec4<u32>, 1>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = first_element(group, groups, local);
    let width = info[0].y;
    for (var part = 0u; part < ELEMENTS; part++) {
        let i = first + part * LANES;
        if i < info[0].x {
            let token = i / width;
            let id = ids[token];
            var value = 0.0;
            if id >= 0.0 && id < f32(info[0].z) {
                value = w[u32(id) * width + i - token * width];
            }
            y[i] = value;
        }
    }
}

// y = x / (1 − p) where the element is kept, 0 where its hash falls under p.
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
// len, p · 2³², two words of the mixed seed; 1 / (1 − p)
@group(0) @binding(2) var<uniform> info: array<vec4<u32>, 2>;

// The first word of pcg3d: Jarzynski & Olano, Hash Functions for GPU Rendering, JCGT 9(3), 2020.
fn hash(index: u32, low: u32, high: u32) -> u32 {
    var v = vec3<u32>(index, low, high) * 1664525u + 1013904223u;
    v.x += v.y * v.z;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v = v ^ (v >> vec3<u32>(16u));
    return v.x + v.y * v.z;
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = first_element(group, groups, local);
    for (var part = 0u; part < ELEMENTS; part++) {
        let i = first + part * LANES;
        if i < info[0].x {
            var value = 0.0;
            if hash(i, info[0].z, info[0].w) >= info[0].y {
                value = x[i] * bitcast<f32>(info[1].x);
            }
            y[i] = value;
        }
    }
}

// dup = dy · gate · σ, dgate = dy · up · σ · (1 + gate · (1 − σ)), σ = sigmoid(gate).
@group(0) @binding(0) var<storage, read_write> gate: array<f32>;
@group(0) @binding(1) var<storage, read_write> up: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dgate: array<f32>;
@group(0) @binding(4) var<storage, read_write> dup: array<f32>;
// len
@group(0) @binding(5) var<uniform> info: array<vec4<u32>, 1>;

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
            let g = gate[i];
            let slope = dy[i];
            // Beyond 80 the exponential leaves f32.
            let sigma = 1.0 / (1.0 + exp(min(-g, 80.0)));
            dgate[i] = slope * up[i] * sigma * (1.0 + g * (1.0 - sigma));
            dup[i] = slope * g * sigma;
        }
    }
}

// L, δ = Σ dout · out of each row, and the mask, one after the other.
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = (group.y * groups.x + group.x) * 64u + local;
    let rows = info[1].z * info[0].x * info[0].z;
    if row < rows {
        var sum = vec4<f32>(0.0);
        for (var c = 0u; c < VECTORS; c++) {
            sum += out_at(row * DIM, c) * dout_at(row * DIM, c);
        }
        notes[row] = logs[row];
        notes[rows + row] = dot(sum, vec4<f32>(1.0));
    }
    if row < info[1].z * info[0].y {
        notes[2u * rows + row] = mask[row];
    }
}

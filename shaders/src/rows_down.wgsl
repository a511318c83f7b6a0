// Rows y, and h = y · Aᵀ of each A, eight numbers of a row at a time.
$BINDINGS
// rows, width, eps; rows of each A
@group(0) @binding($INFO) var<uniform> info: array<vec4<u32>, 2>;

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = row_of(group, groups, local);
    let lane = lane_of(local);
    let rows = info[0].x;
    let width = info[0].y;
    if row >= rows {
        return;
    }
    let start = row * width;
$ROW
$MEMBERS
}

// An invocation a head.
@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let head = row_of(group, groups, local);
    if head >= info[0].x {
        return;
    }
    let shared_head = head / info[0].y;
    let tokens = info[0].z;
    let width = info[0].x / info[0].y * $VECTORSu;
    // Where values begin, in what is kept and in all.
    let of_values = tokens * width;
    let behind = (tokens + 1u) * width;
    let here = head * $VECTORSu;
    let there = shared_head * $VECTORSu;
$ROTATE
    // One of the heads that share keys puts them where all are.
    if head % info[0].y == 0u {
        for (var token = 0u; token < tokens; token++) {
            let place = token * width + there;
$COPY
        }
        let place = of_values + there;
$NEW
    }
    var peak = LOWEST;
    var sum = 0.0;
$ZEROS
    for (var key = info[1].x; key < tokens; key++) {
        let place = key * width + there;
        var product = vec4<f32>(0.0);
$DOTS
        let s = score(dot(product, vec4<f32>(1.0)));
        let next = max(peak, s);
        let fade = exp(peak - next);
        let share = exp(s - next);
        peak = next;
        sum = sum * fade + share;
$MIX
    }
    var product = vec4<f32>(0.0);
$OWN_DOTS
    let s = score(dot(product, vec4<f32>(1.0)));
    let next = max(peak, s);
    let fade = exp(peak - next);
    let share = exp(s - next);
    let total = 1.0 / (sum * fade + share);
$STORE
}

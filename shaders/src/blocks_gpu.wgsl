// Block by block on a GPU: one workgroup of 64 takes a block of 256, each invocation one word of four codes.
const INVOCATIONS: u32 = 64u;
const LANES: u32 = 64u;

var<workgroup> partials: array<vec2<f32>, 64>;

fn block_of(group: vec3<u32>, groups: vec3<u32>, local: u32) -> u32 {
    return group.y * groups.x + group.x;
}

fn lane_of(local: u32) -> u32 {
    return local;
}

fn block_max(value: vec2<f32>, lane: u32) -> vec2<f32> {
    partials[lane] = value;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half = half / 2u) {
        if lane < half {
            partials[lane] = max(partials[lane], partials[lane + half]);
        }
        workgroupBarrier();
    }
    return partials[0];
}


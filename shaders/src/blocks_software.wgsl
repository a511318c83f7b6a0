// Block by block on a software adapter: one invocation takes a whole block, so that nothing waits for anything.
const INVOCATIONS: u32 = 8u;
const LANES: u32 = 1u;

fn block_of(group: vec3<u32>, groups: vec3<u32>, local: u32) -> u32 {
    return (group.y * groups.x + group.x) * INVOCATIONS + local;
}

fn lane_of(local: u32) -> u32 {
    return 0u;
}

fn block_max(value: vec2<f32>, lane: u32) -> vec2<f32> {
    return value;
}


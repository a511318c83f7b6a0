// Row by row on a software adapter: one invocation computes a whole row, so that nothing waits for anything.
const INVOCATIONS: u32 = 8u;
const LANES: u32 = 1u;

fn row_of(group: vec3<u32>, groups: vec3<u32>, local: u32) -> u32 {
    return (group.y * groups.x + group.x) * INVOCATIONS + local;
}

fn lane_of(local: u32) -> u32 {
    return 0u;
}

fn row_sum(value: f32, lane: u32) -> f32 {
    return value;
}

fn row_max(value: f32, lane: u32) -> f32 {
    return value;
}


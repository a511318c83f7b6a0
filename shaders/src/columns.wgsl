// Column by column: one invocation each; a workgroup takes 64 columns and walks down the rows 64 at a time.
const INVOCATIONS: u32 = 64u;

fn first_column(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return (group.y * groups.x + group.x) * INVOCATIONS;
}


// The block of outputs that a workgroup computes: across, down, example.
fn block_of(group: vec3<u32>, groups: vec3<u32>) -> vec3<u32> {
    let number = first_block() + group.y * groups.x + group.x;
    let across = (info[0].y + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS;
    let down = (info[0].x + BLOCK_ROWS - 1u) / BLOCK_ROWS;
    let line = number / across;
    return vec3<u32>(number - line * across, line % down, line / down);
}

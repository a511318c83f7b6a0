// Element by element: 64 invocations a workgroup, four elements each, neighbours beside each other.
const LANES: u32 = 64u;
const ELEMENTS: u32 = 4u;

fn first_element(group: vec3<u32>, groups: vec3<u32>, local: u32) -> u32 {
    return (group.y * groups.x + group.x) * (LANES * ELEMENTS) + local;
}


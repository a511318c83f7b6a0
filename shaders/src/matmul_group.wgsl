// Products of their own matrices in one launch: member z of the group has two vectors of `info`: m, n, k, alpha; where it begins
// in a, b and out. The last word of the first member's is the number of this launch's first workgroup.
// Where sums are made in parts, z is part · MEMBERS + member, and a vector more has the parts and the terms of one.
$BINDINGS@group(0) @binding($INFO) var<uniform> info: array<vec4<u32>, $INFO_LEN>;

const MEMBERS: u32 = $MEMBERSu;
// What a workgroup computes.
const BLOCK_ROWS: u32 = $BLOCK_ROWSu;
const BLOCK_COLUMNS: u32 = $BLOCK_COLUMNSu;
const A_TRANS: bool = $A_TRANS;
const B_TRANS: bool = $B_TRANS;

fn examples() -> u32 {
    return $EXAMPLES;
}

fn member_of(z: u32) -> u32 {
    return z % MEMBERS;
}

fn shape_of(z: u32) -> vec4<u32> {
    return info[2u * member_of(z)];
}

fn starts_of(z: u32) -> vec4<u32> {
    return info[2u * member_of(z) + 1u];
}

// Terms of a sum: from x to under y.
fn sum_of(z: u32) -> vec2<u32> {
    let k = shape_of(z).z;
    return $SUM;
}

fn a_from(z: u32) -> u32 {
    return starts_of(z).x;
}

fn b_from(z: u32) -> u32 {
    return starts_of(z).y;
}

fn a_at(z: u32, i: u32) -> f32 {
$A_AT}

fn b_at(z: u32, i: u32) -> f32 {
$B_AT}

fn store(z: u32, row: u32, column: u32, total: f32) {
    let shape = shape_of(z);
    if row < shape.x && column < shape.y {
        let place = $PART + starts_of(z).z + row * shape.y + column;
        let value = bitcast<f32>(shape.w) * total;
$PUT    }
}

// The block of outputs that a workgroup computes: across, down, member.
fn block_of(group: vec3<u32>, groups: vec3<u32>) -> vec3<u32> {
    var number = info[1].w + group.y * groups.x + group.x;
    for (var z = 0u; z < examples(); z++) {
        let shape = shape_of(z);
        let across = (shape.y + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS;
        let down = (shape.x + BLOCK_ROWS - 1u) / BLOCK_ROWS;
        if number < across * down {
            let line = number / across;
            return vec3<u32>(number - line * across, line, z);
        }
        number -= across * down;
    }
    return vec3<u32>(0u, 0u, examples());
}

// Row by row on a GPU: one workgroup of 256 computes a row; partial results meet in workgroup memory.
const INVOCATIONS: u32 = 256u;
const LANES: u32 = 256u;

var<workgroup> partials: array<f32, 256>;

fn row_of(group: vec3<u32>, groups: vec3<u32>, local: u32) -> u32 {
    return group.y * groups.x + group.x;
}

fn lane_of(local: u32) -> u32 {
    return local;
}

fn row_sum(value: f32, lane: u32) -> f32 {
    partials[lane] = value;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half = half / 2u) {
        if lane < half {
            partials[lane] += partials[lane + half];
        }
        workgroupBarrier();
    }
    let total = partials[0];
    workgroupBarrier();
    return total;
}

fn row_max(value: f32, lane: u32) -> f32 {
    partials[lane] = value;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half = half / 2u) {
        if lane < half {
            partials[lane] = max(partials[lane], partials[lane + half]);
        }
        workgroupBarrier();
    }
    let largest = partials[0];
    workgroupBarrier();
    return largest;
}


// dx = addend + r · (w·dy − x · r² · mean(x·w·dy)), r = rsqrt(mean(x²) + eps).
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
$ADDEND
@group(0) @binding($OUT) var<storage, read_write> dx: array<f32>;
// rows, width, eps
@group(0) @binding($INFO) var<uniform> info: array<vec4<u32>, 1>;

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = row_of(group, groups, local);
    let lane = lane_of(local);
    let width = info[0].y;
    if row >= info[0].x {
        return;
    }
    let start = row * width;
    var squares = 0.0;
    var products = 0.0;
    for (var j = lane; j < width; j += LANES) {
        let value = x[start + j];
        squares += value * value;
        products += value * w[j] * dy[start + j];
    }
    let scale = inverseSqrt(row_sum(squares, lane) / f32(width) + bitcast<f32>(info[0].z));
    let pull = row_sum(products, lane) / f32(width) * scale * scale;
    for (var j = lane; j < width; j += LANES) {
        dx[start + j] = scale * (w[j] * dy[start + j] - x[start + j] * pull)$ADD;
    }
}

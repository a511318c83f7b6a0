// dx = addend + r · (g − mean(g) − x̂ · mean(g·x̂)), g = w·dy, x̂ = (x − mean(x))·r, r = rsqrt(variance(x) + eps).
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
    var total = 0.0;
    for (var j = lane; j < width; j += LANES) {
        total += x[start + j];
    }
    let mean = row_sum(total, lane) / f32(width);
    var squares = 0.0;
    var pulls = 0.0;
    var products = 0.0;
    for (var j = lane; j < width; j += LANES) {
        let value = x[start + j] - mean;
        let pull = w[j] * dy[start + j];
        squares += value * value;
        pulls += pull;
        products += pull * value;
    }
    let scale = inverseSqrt(row_sum(squares, lane) / f32(width) + bitcast<f32>(info[0].z));
    let mean_pull = row_sum(pulls, lane) / f32(width);
    let slope = row_sum(products, lane) / f32(width) * scale * scale;
    for (var j = lane; j < width; j += LANES) {
        dx[start + j] = scale * (w[j] * dy[start + j] - mean_pull - (x[start + j] - mean) * slope)$ADD;
    }
}

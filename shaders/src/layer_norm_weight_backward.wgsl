// dw = Σ over rows of dy · (x − mean(x)) · rsqrt(variance(x) + eps), db = Σ over rows of dy. A workgroup computes the means and
// scales of 64 rows, one an invocation, and then adds these rows up, one column an invocation.
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;
@group(0) @binding(3) var<storage, read_write> db: array<f32>;
// rows, width, eps
@group(0) @binding(4) var<uniform> info: array<vec4<u32>, 1>;

var<workgroup> means: array<f32, 64>;
var<workgroup> scales: array<f32, 64>;

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = first_column(group, groups);
    let rows = info[0].x;
    let width = info[0].y;
    if first >= width {
        return;
    }
    let column = first + local;
    var weight = 0.0;
    var bias = 0.0;
    for (var top = 0u; top < rows; top += INVOCATIONS) {
        let own = top + local;
        var mean = 0.0;
        var squares = 0.0;
        if own < rows {
            for (var j = 0u; j < width; j++) {
                mean += x[own * width + j];
            }
            mean = mean / f32(width);
            for (var j = 0u; j < width; j++) {
                let value = x[own * width + j] - mean;
                squares += value * value;
            }
        }
        means[local] = mean;
        scales[local] = inverseSqrt(squares / f32(width) + bitcast<f32>(info[0].z));
        workgroupBarrier();
        if column < width {
            var weight_part = 0.0;
            var bias_part = 0.0;
            let bottom = min(top + INVOCATIONS, rows);
            for (var row = top; row < bottom; row++) {
                let slope = dy[row * width + column];
                weight_part += slope * (x[row * width + column] - means[row - top]) * scales[row - top];
                bias_part += slope;
            }
            weight += weight_part;
            bias += bias_part;
        }
        workgroupBarrier();
    }
    if column < width {
        dw[column] = weight;
        db[column] = bias;
    }
}

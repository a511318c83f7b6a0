// dw = Σ over rows of dy · x · rsqrt(mean(x²) + eps). A workgroup computes the scales of 64 rows, one an invocation, and then
// adds these rows up, one column an invocation.
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;
// rows, width, eps
@group(0) @binding(3) var<uniform> info: array<vec4<u32>, 1>;

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
    var total = 0.0;
    for (var top = 0u; top < rows; top += INVOCATIONS) {
        let own = top + local;
        var squares = 0.0;
        if own < rows {
            for (var j = 0u; j < width; j++) {
                let value = x[own * width + j];
                squares += value * value;
            }
        }
        scales[local] = inverseSqrt(squares / f32(width) + bitcast<f32>(info[0].z));
        workgroupBarrier();
        if column < width {
            var part = 0.0;
            let bottom = min(top + INVOCATIONS, rows);
            for (var row = top; row < bottom; row++) {
                part += dy[row * width + column] * x[row * width + column] * scales[row - top];
            }
            total += part;
        }
        workgroupBarrier();
    }
    if column < width {
        dw[column] = total;
    }
}

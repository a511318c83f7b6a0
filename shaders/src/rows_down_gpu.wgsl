
// Eight numbers of each invocation.
var<workgroup> eights: array<f32, 2048>;

// Stores the sums over all invocations of the first `count` of eight numbers from `place` on, in one order.
fn put_eight(place: u32, count: u32, lo: vec4<f32>, hi: vec4<f32>, lane: u32) {
    for (var i = 0u; i < 4u; i++) {
        eights[i * LANES + lane] = lo[i];
        eights[(i + 4u) * LANES + lane] = hi[i];
    }
    workgroupBarrier();
    // 32 invocations a number, each for eight of the 256.
    var part = 0.0;
    for (var i = 0u; i < 8u; i++) {
        part += eights[(lane / 32u) * LANES + i * 32u + lane % 32u];
    }
    partials[lane] = part;
    workgroupBarrier();
    if lane < min(count, 8u) {
        var total = 0.0;
        for (var i = 0u; i < 32u; i++) {
            total += partials[lane * 32u + i];
        }
        h[place + lane] = total;
    }
    workgroupBarrier();
}


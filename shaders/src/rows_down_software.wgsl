
// Stores the first `count` of eight numbers from `place` on.
fn put_eight(place: u32, count: u32, lo: vec4<f32>, hi: vec4<f32>, lane: u32) {
    for (var i = 0u; i < min(count, 4u); i++) {
        h[place + i] = lo[i];
    }
    for (var i = 4u; i < min(count, 8u); i++) {
        h[place + i] = hi[i - 4u];
    }
}


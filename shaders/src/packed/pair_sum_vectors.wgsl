
// Four numbers of a row of both a, which lie behind each other; `start` is where it would begin in a matrix of both.
fn four(start: u32, p: u32) -> vec4<f32> {
    let size = info[0].z / 2u;
    let own = start / 2u;
    if p >= size {
        return a1[(own + p - size) / 4u];
    }
    return a0[(own + p) / 4u];
}


// Four numbers of a row of a that begins at `start`.
fn four(start: u32, p: u32) -> vec4<f32> {
    return a[(start + p) / 4u];
}


fn scale(block: u32) -> f32 {
    return bitcast<f32>(w[$PLANES.x + block]);
}

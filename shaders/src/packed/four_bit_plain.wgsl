
fn scale(block: u32) -> f32 {
    return bitcast<f32>(word_at($PLANES.x + block));
}


// map[code] · second scale + offset.
fn scale(block: u32) -> f32 {
    let code = byte($PLANES.x, block);
    let second = bitcast<f32>(word_at($PLANES.y + block / 256u));
    return bitcast<f32>(word_at($SHAPES.x + code)) * second + bitcast<f32>(word_at($PLANES.z));
}


// map[code] · second scale + offset.
fn scale(block: u32) -> f32 {
    let code = byte($PLANES.x, block);
    return bitcast<f32>(w[$SHAPES.x + code]) * bitcast<f32>(w[$PLANES.y + block / 256u]) + bitcast<f32>(w[$PLANES.z]);
}

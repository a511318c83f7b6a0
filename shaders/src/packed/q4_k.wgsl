
fn eight(row: u32, column: u32) -> Eight {
    let i = row * $SHAPES.w + column;
    let word = word_at(i >> 3u);
    let dm = k_scales(i);
    return Eight(dm.x * vec4<f32>(nibbles(word, 0u)) - dm.y, dm.x * vec4<f32>(nibbles(word, 16u)) - dm.y);
}

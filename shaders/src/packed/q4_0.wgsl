
fn eight(row: u32, column: u32) -> Eight {
    let i = row * $SHAPES.w + column;
    let word = word_at(i >> 3u);
    let d = half($PLANES.x, i >> 5u);
    return Eight(d * (vec4<f32>(nibbles(word, 0u)) - 8.0), d * (vec4<f32>(nibbles(word, 16u)) - 8.0));
}

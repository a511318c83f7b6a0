
fn one(row: u32, column: u32) -> f32 {
    return bitcast<f32>(word_at(row * $SHAPES.w + column));
}

fn $EIGHT(row: u32, column: u32) -> Eight {
    let i = row * $SHAPES.w + column;
    return Eight(
        bitcast<vec4<f32>>(vec4<u32>(word_at(i), word_at(i + 1u), word_at(i + 2u), word_at(i + 3u))),
        bitcast<vec4<f32>>(vec4<u32>(word_at(i + 4u), word_at(i + 5u), word_at(i + 6u), word_at(i + 7u))),
    );
}

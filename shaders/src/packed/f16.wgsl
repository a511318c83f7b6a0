
fn one(row: u32, column: u32) -> f32 {
    return half(0u, row * $SHAPES.w + column);
}

fn $EIGHT(row: u32, column: u32) -> Eight {
    let i = (row * $SHAPES.w + column) / 2u;
    return Eight(
        vec4<f32>(unpack2x16float(word_at(i)), unpack2x16float(word_at(i + 1u))),
        vec4<f32>(unpack2x16float(word_at(i + 2u)), unpack2x16float(word_at(i + 3u))),
    );
}


fn one(row: u32, column: u32) -> f32 {
    return bitcast<f32>(w[row * $SHAPES.w + column]);
}

fn $EIGHT(row: u32, column: u32) -> Eight {
    let i = row * $SHAPES.w + column;
    return Eight(
        bitcast<vec4<f32>>(vec4<u32>(w[i], w[i + 1u], w[i + 2u], w[i + 3u])),
        bitcast<vec4<f32>>(vec4<u32>(w[i + 4u], w[i + 5u], w[i + 6u], w[i + 7u])),
    );
}

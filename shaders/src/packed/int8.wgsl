
fn one(row: u32, column: u32) -> f32 {
    let i = row * $SHAPES.w + column;
    return signed(word_at(i >> 2u))[i & 3u] * bitcast<f32>(word_at($PLANES.x + row)) * (1.0 / 127.0);
}

fn $EIGHT(row: u32, column: u32) -> Eight {
    let i = (row * $SHAPES.w + column) / 4u;
    let absmax = bitcast<f32>(word_at($PLANES.x + row));
    return Eight(signed(word_at(i)) * absmax * (1.0 / 127.0), signed(word_at(i + 1u)) * absmax * (1.0 / 127.0));
}

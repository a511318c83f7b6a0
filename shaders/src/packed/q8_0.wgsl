
fn eight(row: u32, column: u32) -> Eight {
    let i = row * $SHAPES.w + column;
    let d = half($PLANES.x, i >> 5u);
    return Eight(d * signed(word_at(i >> 2u)), d * signed(word_at((i >> 2u) + 1u)));
}

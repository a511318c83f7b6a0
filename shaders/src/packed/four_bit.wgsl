
// NF4 and FP4: table[index] · scale of the block.
fn value(index: u32) -> f32 {
    return bitcast<f32>(word_at($PLANES.w + index));
}

fn one(row: u32, column: u32) -> f32 {
    let i = row * $SHAPES.w + column;
    return value((word_at(i >> 3u) >> (4u * (i & 7u))) & 15u) * scale(i / $SHAPES.y);
}

fn $EIGHT(row: u32, column: u32) -> Eight {
    let i = row * $SHAPES.w + column;
    let word = word_at(i >> 3u);
    let lo = nibbles(word, 0u);
    let hi = nibbles(word, 16u);
    let s = scale(i / $SHAPES.y);
    return Eight(
        s * vec4<f32>(value(lo.x), value(lo.y), value(lo.z), value(lo.w)),
        s * vec4<f32>(value(hi.x), value(hi.y), value(hi.z), value(hi.w)),
    );
}

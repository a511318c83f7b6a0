
fn pair(at: u32) -> vec2<f32> {
    return bitcast<vec2<f32>>(vec2<u32>(word_at(at) << 16u, word_at(at) & 0xffff0000u));
}

fn one(row: u32, column: u32) -> f32 {
    let i = row * $SHAPES.w + column;
    let both = pair(i / 2u);
    return select(both.x, both.y, (i & 1u) == 1u);
}

fn $EIGHT(row: u32, column: u32) -> Eight {
    let i = (row * $SHAPES.w + column) / 2u;
    return Eight(vec4<f32>(pair(i), pair(i + 1u)), vec4<f32>(pair(i + 2u), pair(i + 3u)));
}


// The high two bits of four codes from number i on, in their place.
fn high(i: u32) -> vec4<u32> {
    let bits = word_at($PLANES.y + (i >> 4u)) >> (2u * (i & 15u));
    return ((vec4<u32>(bits) >> vec4<u32>(0u, 2u, 4u, 6u)) & vec4<u32>(3u)) << vec4<u32>(4u);
}

fn eight(row: u32, column: u32) -> Eight {
    let i = row * $SHAPES.w + column;
    let word = word_at(i >> 3u);
    let s = half($PLANES.z, i >> 8u) * signed(word_at($PLANES.x + (i >> 6u)))[(i >> 4u) & 3u];
    return Eight(
        s * (vec4<f32>(nibbles(word, 0u) | high(i)) - 32.0),
        s * (vec4<f32>(nibbles(word, 16u) | high(i + 4u)) - 32.0),
    );
}

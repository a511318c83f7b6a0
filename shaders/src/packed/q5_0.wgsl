
// The fifth bits of four codes from number i on, in their place.
fn fifth(i: u32) -> vec4<u32> {
    let bits = w[$PLANES.y + (i >> 5u)] >> (i & 31u);
    return ((vec4<u32>(bits) >> vec4<u32>(0u, 1u, 2u, 3u)) & vec4<u32>(1u)) << vec4<u32>(4u);
}

fn eight(row: u32, column: u32) -> Eight {
    let i = row * $SHAPES.w + column;
    let word = w[i >> 3u];
    let d = half($PLANES.x, i >> 5u);
    return Eight(
        d * (vec4<f32>(nibbles(word, 0u) | fifth(i)) - 16.0),
        d * (vec4<f32>(nibbles(word, 16u) | fifth(i + 4u)) - 16.0),
    );
}


// What every packed format shares. `$PLANES` holds where the planes after the codes start: scales, second scales, offset,
// table; `$SHAPES` where the map starts, a block's or tile's size, columns.
struct Eight {
    lo: vec4<f32>,
    hi: vec4<f32>,
}

const EVERY_FOUR: vec4<u32> = vec4<u32>(0u, 4u, 8u, 12u);
const EVERY_EIGHT: vec4<u32> = vec4<u32>(0u, 8u, 16u, 24u);

// Half number `at` of a plane that starts at word `start`.
fn half(start: u32, at: u32) -> f32 {
    let pair = unpack2x16float(word_at(start + (at >> 1u)));
    return select(pair.x, pair.y, (at & 1u) == 1u);
}

fn byte(start: u32, at: u32) -> u32 {
    return (word_at(start + (at >> 2u)) >> (8u * (at & 3u))) & 255u;
}

// The four signed bytes of a word.
fn signed(word: u32) -> vec4<f32> {
    let bytes = vec4<u32>(word) >> EVERY_EIGHT;
    return vec4<f32>(vec4<i32>(bytes << vec4<u32>(24u)) >> vec4<u32>(24u));
}

// The four codes of four bits from bit `shift` of a word on.
fn nibbles(word: u32, shift: u32) -> vec4<u32> {
    return (vec4<u32>(word >> shift) >> EVERY_FOUR) & vec4<u32>(15u);
}

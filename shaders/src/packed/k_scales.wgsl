
// Scale times d and minimum times d_min of the part of number i. A block's scales are four words: d and d_min as halves, and
// twelve bytes with eight scales and minimums of six bits: those of parts 0 to 3 in the low bits of bytes 0 to 3 and 4 to 7,
// those of parts 4 to 7 in halves of bytes 8 to 11 with their high two bits in what is left of the others.
fn k_scales(i: u32) -> vec2<f32> {
    let block = $PLANES.x + 4u * (i >> 8u);
    let part = (i >> 5u) & 7u;
    let shift = 8u * (part & 3u);
    let first = (word_at(block + 1u) >> shift) & 255u;
    let second = (word_at(block + 2u) >> shift) & 255u;
    let third = (word_at(block + 3u) >> shift) & 255u;
    let late = part >= 4u;
    let s = select(first & 63u, (third & 15u) | ((first >> 6u) << 4u), late);
    let m = select(second & 63u, (third >> 4u) | ((second >> 6u) << 4u), late);
    return unpack2x16float(word_at(block)) * vec2<f32>(f32(s), f32(m));
}


// The fifth bits of four codes from number i on, in their place.
fn fifth(i: u32) -> vec4<u32> {
    let bits = word_at($PLANES.y + (i >> 5u)) >> (i & 31u);
    return ((vec4<u32>(bits) >> vec4<u32>(0u, 1u, 2u, 3u)) & vec4<u32>(1u)) << vec4<u32>(4u);
}

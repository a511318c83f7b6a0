
fn number(start: u32, p: u32) -> f32 {
    let k = info[0].z;
    return select(0.0, a[start + min(p, k - 1u)], p < k);
}

// Four numbers of a row of a that begins at `start`; zeros past its end.
fn four(start: u32, p: u32) -> vec4<f32> {
    return vec4<f32>(number(start, p), number(start, p + 1u), number(start, p + 2u), number(start, p + 3u));
}

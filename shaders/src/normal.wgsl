
// Φ(x) of the normal distribution, given e^(−x²/2): Φ(−|x|) = t · P(t) · e^(−x²/2), t = 1 / (1 + |x|/4); P as in gelu.rs.
fn normal(value: f32, bell: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.25 * abs(value));
    var p = 0.020137033 * t - 0.0823398;
    p = p * t + 0.09808474;
    p = p * t - 0.033975494;
    p = p * t + 0.06487894;
    p = p * t + 0.05861827;
    p = p * t + 0.08166269;
    p = p * t + 0.09346148;
    p = p * t + 0.09973658;
    p = p * t + 0.099735566;
    let tail = t * p * bell;
    return select(1.0 - tail, tail, value < 0.0);
}


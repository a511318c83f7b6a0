//! Whether one of two answers is preferred more often than by chance.

/// The two-sided p-value of the exact sign test: how likely counts at least as uneven as these are where both are as good. Ties
/// are no evidence and are left out by whoever counts; without counts it is 1.
pub fn sign_test(one: u32, other: u32) -> f64 {
    let (all, fewer) = (f64::from(one) + f64::from(other), one.min(other));
    // C(n, k)·2⁻ⁿ by its logarithm, which does not underflow.
    let mut logarithm = -all * std::f64::consts::LN_2;
    let mut tail = logarithm.exp();
    for k in 0..fewer {
        logarithm += ((all - f64::from(k)) / (f64::from(k) + 1.0)).ln();
        tail += logarithm.exp();
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_p_value_is_that_of_tossed_coins() {
        // 2·(1 + 10 + 45) / 1024, 2 / 32, and an even count.
        for (counts, wanted) in [
            ((8, 2), 0.109_375),
            ((2, 8), 0.109_375),
            ((5, 0), 0.0625),
            ((3, 3), 1.0),
            ((0, 0), 1.0),
        ] {
            assert!((sign_test(counts.0, counts.1) - wanted).abs() < 1e-12, "{counts:?}");
        }
        assert!(sign_test(900, 1100) < 1e-4 && sign_test(900, 1100) > 1e-6);
    }
}

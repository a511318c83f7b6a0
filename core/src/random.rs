//! The one source of chance on the host: adapter initialisation, order of examples, the validation split, sampling.
//!
//! The numbers are part of a run (ARCHITECTURE, invariant 8), so nothing here depends
//! on the platform: integers wrap, and floats use only +, −, ×, ÷ and √, which IEEE 754 rounds the same everywhere.
//! Chance on the device (dropout masks) is seeded from here but drawn by the kernels.

/// A generator: xoshiro256++ (Blackman and Vigna, 2018), its state filled by splitmix64 from the seed and the stream's
/// name.
///
/// Period 2²⁵⁶ − 1. Generators of different seeds or streams share nothing that a run could notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generator {
    state: [u64; 4],
}

impl Generator {
    /// The generator of `seed` for one purpose: `init`, `order`, `split`, `dropout` and `sample` never disturb each
    /// other.
    pub fn new(mut seed: u64, stream: &str) -> Self {
        // FNV-1a of the stream's name, so that a name is all that a new purpose needs.
        let name = stream.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        // The seed is mixed before it meets the name: small seeds differ in few bits.
        let mut filler = splitmix64(&mut seed) ^ name;
        let state = std::array::from_fn(|_| splitmix64(&mut filler));
        Self { state }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let drawn = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        drawn
    }

    /// A number in [0, 1) with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A whole number in [0, n), each equally likely (Lemire, 2019); 0 where n is 0.
    pub fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        if n == 0 {
            return 0;
        }
        let threshold = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            // The low half decides whether this draw belongs to the few that would favour some numbers.
            if product as u64 >= threshold {
                return (product >> 64) as usize;
            }
        }
    }

    /// A number of the standard normal distribution (Marsaglia's polar method).
    ///
    /// x = u·√(−2·ln s / s) with (u, v) uniform in the unit disc and s = u² + v²; v's twin is thrown away, so that the
    /// generator has no state but its bits.
    pub fn normal(&mut self) -> f64 {
        loop {
            let u = 2.0 * self.uniform() - 1.0;
            let v = 2.0 * self.uniform() - 1.0;
            let s = u * u + v * v;
            if s > 0.0 && s < 1.0 {
                return u * (-2.0 * ln(s) / s).sqrt();
            }
        }
    }

    /// Brings the items into a random order, each order equally likely (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// What splitmix64 adds to its state at each step: 2⁶⁴ over the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Number `number` of the sequence that splitmix64 draws from `seed`: neighbouring inputs give unrelated outputs.
#[cfg(feature = "engine")]
pub(crate) fn mix(seed: u64, number: u64) -> u64 {
    splitmix64(&mut seed.wrapping_add(number.wrapping_mul(GOLDEN)))
}

/// Steele, Lea and Flood's splitmix64 (2014): advances `state` and gives 64 mixed bits.
fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(GOLDEN);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The natural logarithm of a positive normal number, to about 1e-15 of its value.
///
/// `f64::ln` is the platform's and differs in its last bit between targets. Here x = m·2ᵉ with m in [√½, √2), and
/// ln m = 2·(t + t³/3 + t⁵/5 + …) with t = (m − 1)/(m + 1), |t| < 0.172.
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mut m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | (1023_u64 << 52));
    if m > std::f64::consts::SQRT_2 {
        m /= 2.0;
        exponent += 1;
    }
    let t = (m - 1.0) / (m + 1.0);
    let square = t * t;
    let series = (0..=11)
        .rev()
        .fold(0.0, |sum, k| sum * square + 1.0 / f64::from(2 * k + 1));
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * t * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_xoshiro256_plus_plus() {
        // The published recurrence, statement by statement.
        fn reference(s: &mut [u64; 4]) -> u64 {
            let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
            let t = s[1] << 17;
            s[2] ^= s[0];
            s[3] ^= s[1];
            s[1] ^= s[2];
            s[0] ^= s[3];
            s[2] ^= t;
            s[3] = s[3].rotate_left(45);
            result
        }
        let mut state = [1, 2, 3, 4];
        let mut generator = Generator { state };
        // The first value for this state is known: rotl(1 + 4, 23) + 1.
        assert_eq!(generator.clone().next_u64(), 41_943_041);
        for _ in 0..1000 {
            assert_eq!(generator.next_u64(), reference(&mut state));
            assert_eq!(generator.state, state);
        }
    }

    #[test]
    fn splitmix64_gives_the_published_numbers() {
        let mut state = 1_234_567;
        let drawn: Vec<u64> = (0..3).map(|_| splitmix64(&mut state)).collect();
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn the_logarithm_agrees_with_the_platform() {
        let mut generator = Generator::new(1, "sample");
        for _ in 0..10_000 {
            let x = generator.uniform().max(1e-300);
            assert!((ln(x) - x.ln()).abs() <= 4e-16 * x.ln().abs().max(1.0), "ln {x}");
        }
        for x in [1e-300, 0.5, 0.7, 0.71, 1.0, 1.41, 1.42, 2.0, 1e300] {
            assert!((ln(x) - x.ln()).abs() <= 4e-16 * x.ln().abs().max(1.0), "ln {x}");
        }
    }
}

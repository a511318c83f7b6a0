//! Attention of a token that is generated: one query, which sees what a cache holds and itself.

use super::Attention;
use super::text::MOST_VARIABLES;
use crate::launch::{by_row_count, info_words};
use crate::matmul::lines;
use crate::{Kernel, Rope, Tier};

/// Rotates a query and its key by the angles of its position ([`Rope`]), mixes the values of the keys that the cache holds and of
/// its own ([`Attention`]; none is masked), and puts its key and value behind those of the cache, all in one launch.
///
/// Inputs q \[H·D\], k, v \[K·D\], cos, sin \[D/2\], and what is kept \[2, T, K·D\]: rotated keys, then values. Outputs the mixed values
/// \[H·D\], and what is kept from now on \[2, T + 1, K·D\].
#[derive(Debug, Clone, PartialEq)]
pub struct CachedAttention {
    /// Heads of keys.
    pub kv_heads: usize,
    /// Query heads for one key head.
    pub group: usize,
    /// Tokens that the cache holds, one at least.
    pub kept: usize,
    /// Width of a head, a multiple of eight.
    pub dim: usize,
    /// How many keys back the query sees, its own included; 0 for all.
    pub window: usize,
    /// Multiplies the scores.
    pub scale: f32,
    /// c of c·tanh(score / c); 0 for none.
    pub cap: f32,
}

impl CachedAttention {
    /// Whether its texts can make it: a head's row is whole vectors, halves of it too, and few enough for registers.
    pub fn suits(&self) -> bool {
        self.kept > 0 && self.dim.is_multiple_of(8) && (1..=4 * MOST_VARIABLES).contains(&self.dim)
    }

    fn heads(&self) -> usize {
        self.kv_heads * self.group
    }

    /// Numbers of a token's keys.
    fn width(&self) -> usize {
        self.kv_heads * self.dim
    }

    /// The first key that is seen.
    fn begin(&self) -> usize {
        match self.window {
            0 => 0,
            window => (self.kept + 1).saturating_sub(window),
        }
    }

    /// The same by the kernels that make it one by one.
    fn parts(&self) -> (Rope, Attention) {
        let rope = Rope {
            rows: 1,
            tokens: 1,
            heads: self.heads(),
            kv_heads: self.kv_heads,
            dim: self.dim,
            inverse: false,
        };
        let attention = Attention {
            batch: 1,
            kv_heads: self.kv_heads,
            group: self.group,
            queries: 1,
            keys: self.kept + 1,
            dim: self.dim,
            offset: self.kept,
            window: self.window,
            scale: self.scale,
            cap: self.cap,
            biased: false,
            segmented: false,
        };
        (rope, attention)
    }

    /// The text for a software adapter: an invocation a head, whose row is in registers.
    fn software(&self) -> String {
        let (vectors, half) = (self.dim / 4, self.dim / 8);
        let each = |line: &str| lines(vectors, |c| line.replace('#', &c.to_string()));
        let rotated = |name: &str, buffer: &str, place: &str| {
            lines(half, |c| {
                let other = c + half;
                format!(
                    "    let {name}{c} = {buffer}[{place} + {c}u] * cosines[{c}] - {buffer}[{place} + {other}u] * sines[{c}];\n    \
                     let {name}{other} = {buffer}[{place} + {other}u] * cosines[{c}] + {buffer}[{place} + {c}u] * sines[{c}];"
                )
            })
        };
        include_str!("cached_software.wgsl")
            .replace("$VECTORS", &vectors.to_string())
            .replace(
                "$ROTATE\n",
                &(rotated("q", "queries", "here") + &rotated("k", "keys", "there")),
            )
            .replace(
                "$COPY\n",
                &(each("            all[place + #u] = kept[place + #u];")
                    + &each("            all[behind + place + #u] = kept[of_values + place + #u];")),
            )
            .replace(
                "$NEW\n",
                &(each("        all[place + #u] = k#;")
                    + &each("        all[behind + place + #u] = values[there + #u];")),
            )
            .replace("$ZEROS\n", &each("    var o# = vec4<f32>(0.0);"))
            .replace("$DOTS\n", &each("        product += q# * kept[place + #u];"))
            .replace(
                "$MIX\n",
                &each("        o# = o# * fade + share * kept[of_values + place + #u];"),
            )
            .replace("$OWN_DOTS\n", &each("    product += q# * k#;"))
            .replace(
                "$STORE\n",
                &each("    out[here + #u] = (o# * fade + share * values[there + #u]) * total;"),
            )
    }
}

impl Kernel for CachedAttention {
    by_row_count!(|kernel| kernel.heads());

    fn key(&self, tier: Tier) -> String {
        match tier {
            Tier::Software => format!("cached_attention_software_{}", self.dim),
            Tier::Gpu { .. } => "cached_attention_gpu".to_owned(),
        }
    }

    fn wgsl(&self, tier: Tier) -> String {
        let (rows, number, own) = match tier {
            Tier::Software => (include_str!("../rows_software.wgsl"), "vec4<f32>", self.software()),
            Tier::Gpu { .. } => (
                include_str!("../rows_gpu.wgsl"),
                "f32",
                include_str!("cached_gpu.wgsl").to_owned(),
            ),
        };
        let shared = include_str!("cached.wgsl").replace("$NUMBER", number);
        [rows, &shared, &own].concat()
    }

    fn info(&self) -> Vec<u32> {
        info_words(&[
            self.heads() as u32,
            self.group as u32,
            self.kept as u32,
            self.dim as u32,
            self.begin() as u32,
            self.scale.to_bits(),
            self.cap.to_bits(),
        ])
    }

    fn products(&self) -> u64 {
        4 * (self.heads() * self.dim) as u64 * (self.kept + 1 - self.begin()) as u64
    }

    fn input_lens(&self) -> Vec<usize> {
        let (width, half) = (self.width(), self.dim / 2);
        vec![self.heads() * self.dim, width, width, half, half, 2 * self.kept * width]
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.heads() * self.dim, 2 * (self.kept + 1) * self.width()]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        let &[q, k, v, cosines, sines, kept] = inputs else {
            return;
        };
        let [out, all] = outputs else { return };
        let (rope, attention) = self.parts();
        let (mut query, mut key) = (vec![0.0; q.len()], vec![0.0; k.len()]);
        rope.twin(&[q, k, cosines, sines], &mut [query.as_mut_slice(), key.as_mut_slice()]);
        let (kept_keys, kept_values) = kept.split_at(self.kept * self.width());
        let (keys, values) = all.split_at_mut((self.kept + 1) * self.width());
        put_behind(keys, kept_keys, &key);
        put_behind(values, kept_values, v);
        let (mask, mut logs) = (vec![1.0; self.kept + 1], vec![0.0; self.heads()]);
        attention.twin(
            &[query.as_slice(), &*keys, &*values, mask.as_slice()],
            &mut [&mut **out, logs.as_mut_slice()],
        );
    }
}

/// Fills `all` with what is kept and, behind it, the token's own.
fn put_behind(all: &mut [f32], kept: &[f32], own: &[f32]) {
    let (before, behind) = all.split_at_mut(kept.len());
    before.copy_from_slice(kept);
    behind.copy_from_slice(own);
}

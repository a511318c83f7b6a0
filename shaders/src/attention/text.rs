//! The sources of attention: what all share, how rows of heads are read and written, and the lines that depend on a tile's size
//! and a head's width.

use super::Attention;
use crate::Tier;
use crate::matmul::{lines, pairs};

/// Rows of a tile of the bias's gradient, in sixteens: as many as it has columns.
pub(super) const BIAS_TALL: usize = 2;

/// What a buffer holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Rows of query heads, which are read.
    Queries,
    /// Rows of key heads, which are read.
    Keys,
    /// Rows of heads, which are written.
    Written,
    /// Numbers.
    Numbers,
}

const FORWARD: &[(&str, Holds)] = &[
    ("q", Holds::Queries),
    ("k", Holds::Keys),
    ("v", Holds::Keys),
    ("mask", Holds::Numbers),
];
const BACKWARD: &[(&str, Holds)] = &[
    ("q", Holds::Queries),
    ("k", Holds::Keys),
    ("v", Holds::Keys),
    ("dout", Holds::Queries),
    ("notes", Holds::Numbers),
];
const BIAS: &[(&str, Holds)] = &[("bias", Holds::Numbers)];

/// Bindings and what all sources share.
fn head(form: &Attention, inputs: &[(&str, Holds)], outputs: &[(&str, Holds)]) -> String {
    let biased = form.biased && inputs != NOTES;
    let bias = if biased { BIAS } else { &[] };
    let buffers: Vec<_> = inputs.iter().chain(bias).chain(outputs).copied().collect();
    let by_four = form.dim.is_multiple_of(4);
    let bindings = lines(buffers.len(), |i| {
        let (name, holds) = buffers[i];
        let number = if by_four && holds != Holds::Numbers {
            "vec4<f32>"
        } else {
            "f32"
        };
        format!("@group(0) @binding({i}) var<storage, read_write> {name}: array<{number}>;")
    });
    let of_notes = inputs.iter().any(|(name, _)| *name == "notes");
    let mask = |token: &str| match of_notes {
        true => format!("notes[(2u * info[0].x * info[0].z) * info[1].z + example * info[0].y + {token}]"),
        false => format!("mask[example * info[0].y + {token}]"),
    };
    let segmented = form.segmented && inputs != NOTES;
    let is_present = match segmented {
        true => "segment_of(example, key) != 0.0 && segment_of(example, key) == segment_of(example, query)".to_owned(),
        false => mask("key") + " != 0.0",
    };
    let shared = include_str!("attention.wgsl")
        .replace("$INFO", &buffers.len().to_string())
        .replace("$DIM", &form.dim.to_string())
        .replace("$VECTORS", &form.vectors().to_string())
        .replace("$IS_PRESENT", &is_present)
        .replace(
            "$BIAS",
            match biased {
                true => " + bias[(key + info[0].x - 1u - query) * info[0].z + head]",
                false => "",
            },
        );
    let rows: String = buffers
        .iter()
        .map(|(name, holds)| access(name, *holds, by_four))
        .collect();
    let segments = match segmented {
        true => include_str!("segments.wgsl").replace("$MASK", &mask("token")),
        false => String::new(),
    };
    let backward = if of_notes { include_str!("backward.wgsl") } else { "" };
    bindings + &shared + &segments + backward + &rows
}

/// The lines that say which tokens of the other side, "key" or "query", a tile from `top` on is for. Loops over them have barriers on a
/// GPU: there one invocation asks where segments lie, and all go by its answer.
fn span(form: &Attention, tier: Tier, side: &str) -> String {
    let count = if side == "key" { "info[0].x" } else { "info[0].y" };
    let rows = match tier {
        Tier::Software => "16u",
        Tier::Gpu { .. } => "ROWS",
    };
    let last = format!("min(top + {rows}, {count}) - 1u");
    match (form.segmented, tier) {
        (false, _) => format!("    let span = {side}_span(top, {last});\n"),
        (true, Tier::Software) => format!("    let span = {side}_span_of_segments(example, top, {last});\n"),
        (true, Tier::Gpu { .. }) => format!(
            "    if local == 0u {{
        let ends = {side}_span_of_segments(example, top, {last});
        scratch[0] = vec4<f32>(f32(ends.x), f32(ends.y), 0.0, 0.0);
    }}
    let ends = workgroupUniformLoad(&scratch[0]);
    let span = vec2<u32>(u32(ends.x), u32(ends.y));
"
        ),
    }
}

/// Functions that read or write four numbers of a row: `name_at` by the row's place, `name_row` by its number, zeros beyond the
/// last row and past a row's end.
fn access(name: &str, holds: Holds, by_four: bool) -> String {
    let four = |line: fn(&str, usize) -> String| lines(4, |i| line(name, i));
    let at = || {
        let body = match by_four {
            true => format!("    value = {name}[place / 4u + c];\n"),
            false => four(|name, i| {
                format!("    if 4u * c + {i}u < DIM {{\n        value[{i}] = {name}[place + 4u * c + {i}u];\n    }}")
            }),
        };
        format!(
            "fn {name}_at(place: u32, c: u32) -> vec4<f32> {{\n    var value = vec4<f32>(0.0);\n    \
             if c >= VECTORS {{\n        return value;\n    }}\n{body}    return value;\n}}\n\n"
        )
    };
    let row = |count: &str, place: &str| {
        format!(
            "fn {name}_row(example: u32, head: u32, row: u32, c: u32) -> vec4<f32> {{\n    \
             if row >= {count} {{\n        return vec4<f32>(0.0);\n    }}\n    \
             return {name}_at({place}(example, head, row), c);\n}}\n\n"
        )
    };
    match holds {
        Holds::Numbers => String::new(),
        Holds::Queries => at() + &row("info[0].x", "query_place"),
        Holds::Keys => at() + &row("info[0].y", "key_place"),
        Holds::Written => {
            let body = match by_four {
                true => format!("    if c < VECTORS {{\n        {name}[place / 4u + c] = value;\n    }}\n"),
                false => four(|name, i| {
                    format!(
                        "    if 4u * c + {i}u < DIM {{\n        {name}[place + 4u * c + {i}u] = value[{i}];\n    }}"
                    )
                }),
            };
            format!("fn {name}_store(place: u32, c: u32, value: vec4<f32>) {{\n{body}}}\n\n")
        }
    }
}

const NOTES: &[(&str, Holds)] = &[
    ("out", Holds::Queries),
    ("dout", Holds::Queries),
    ("logs", Holds::Numbers),
    ("mask", Holds::Numbers),
];

pub(super) fn notes(form: &Attention) -> String {
    head(form, NOTES, &[("notes", Holds::Numbers)]) + include_str!("notes.wgsl")
}

pub(super) fn forward(form: &Attention, tier: Tier) -> String {
    let head = head(form, FORWARD, &[("out", Holds::Written), ("logs", Holds::Numbers)]);
    let vectors = form.vectors();
    if tier == Tier::Software {
        return head
            + &include_str!("forward_software.wgsl")
                .replace(
                    "$START\n",
                    &(arrays(vectors, &["q"])
                        + &each(vectors, &["let q# = q_at(here, #u);"], 1)
                        + &zeros(vectors, "o")),
                )
                .replace("$SPAN\n", &span(form, tier, "key"))
                .replace("$PRODUCT\n", &dots(vectors, &[("product", "q#", "k_at(there, #u)")], 3))
                .replace("$MIX\n", &each(vectors, &["o# = o# * fade + p * v_at(there, #u);"], 3))
                .replace("$STORE\n", &each(vectors, &["out_store(here, #u, o# * share);"], 1));
    }
    let tile = Tile {
        tall: form.queries_tall(),
        wide: form.wide(),
    };
    let tall = tile.tall;
    let score = pairs(tall, 2, |r, c| {
        let (query, key) = (format!("top + y + {}u", 16 * r), format!("key + {c}u"));
        format!(
            "        if sees(example, {query}, {key}) {{\n            \
             s{r}_{c} = score(s{r}_{c}, head, {query}, {key});\n        }} else {{\n            \
             s{r}_{c} = LOWEST;\n        }}"
        )
    });
    let shares = pairs(tall, 2, |r, c| {
        format!("        let p{r}_{c} = select(exp(s{r}_{c} - peak[{r}]), 0.0, s{r}_{c} == LOWEST);")
    }) + &tile.share(|r| format!("p{r}_0, p{r}_1"))
        + &pairs(tall, tile.wide, |r, c| format!("        o{r}_{c} *= fade[{r}];"));
    let store = tile.store("query", "info[0].x", |r| {
        let sums = pairs(1, tile.wide, |_, c| {
            format!("            out_store(place, x + {}u, o{r}_{c} * share);", 16 * c)
        });
        format!(
            "            let share = select(1.0 / total[{r}], 0.0, total[{r}] == 0.0);\n            \
             let place = query_place(example, head, query);\n{sums}            \
             if x == 0u {{\n                \
             logs[row_place(example, head, query)] = select(peak[{r}] + log(total[{r}]), 0.0, total[{r}] == 0.0);\n            \
             }}\n"
        )
    });
    head + &tile.shapes()
        + &include_str!("forward_gpu.wgsl")
            .replace("$START\n", &tile.zeros("o"))
            .replace("$SPAN\n", &span(form, tier, "key"))
            .replace("$PRODUCT\n", &tile.product("s", ("q", "head"), ("k", "shared_head")))
            .replace("$SCORE\n", &score)
            .replace("$PEAKS", &tile.of_rows("LOWEST", |r| format!("max(s{r}_0, s{r}_1)")))
            .replace("$SHARES\n", &shares)
            .replace("$SUMS", &tile.of_rows("0.0", |r| format!("p{r}_0 + p{r}_1")))
            .replace("$MIX\n", &tile.mix("o", "v", "shared_head"))
            .replace("$STORE\n", &store)
}

pub(super) fn of_queries(form: &Attention, tier: Tier) -> String {
    let head = head(form, BACKWARD, &[("dq", Holds::Written)]);
    let vectors = form.vectors();
    if tier == Tier::Software {
        let start = ["let q# = q_at(here, #u);", "let d# = dout_at(here, #u);"];
        let products = [("product", "q#", "k#"), ("dp", "d#", "v_at(there, #u)")];
        let products = each(vectors, &["let k# = k_at(there, #u);"], 3) + &dots(vectors, &products, 3);
        return head
            + &include_str!("of_queries_software.wgsl")
                .replace(
                    "$START\n",
                    &(arrays(vectors, &["q", "d", "k"]) + &each(vectors, &start, 1) + &zeros(vectors, "o")),
                )
                .replace("$SPAN\n", &span(form, tier, "key"))
                .replace("$PRODUCTS\n", &products)
                .replace("$MIX\n", &each(vectors, &["o# += g * k#;"], 3))
                .replace("$STORE\n", &each(vectors, &["dq_store(here, #u, o#);"], 1));
    }
    let tile = Tile {
        tall: form.queries_tall(),
        wide: form.wide(),
    };
    let store = tile.store("query", "info[0].x", |r| {
        let sums = pairs(1, tile.wide, |_, c| {
            format!("            dq_store(place, x + {}u, o{r}_{c});", 16 * c)
        });
        format!("            let place = query_place(example, head, query);\n{sums}")
    });
    head + &tile.shapes()
        + &include_str!("of_queries_gpu.wgsl")
            .replace("$START\n", &(tile.zeros("o") + &tile.notes()))
            .replace("$SPAN\n", &span(form, tier, "key"))
            .replace("$PRODUCTS\n", &tile.products_of_queries())
            .replace("$GRADIENTS\n", &tile.gradients())
            .replace("$MIX\n", &tile.mix("o", "k", "shared_head"))
            .replace("$STORE\n", &store)
}

pub(super) fn of_keys(form: &Attention, tier: Tier) -> String {
    let head = head(form, BACKWARD, &[("dk", Holds::Written), ("dv", Holds::Written)]);
    let vectors = form.vectors();
    if tier == Tier::Software {
        let start = ["let k# = k_at(here, #u);", "let v# = v_at(here, #u);"];
        let rows = ["let q# = q_at(there, #u);", "let d# = dout_at(there, #u);"];
        let products = [("product", "k#", "q#"), ("dp", "v#", "d#")];
        let start = arrays(vectors, &["k", "v", "q", "d"]) + &each(vectors, &start, 1);
        let start = start + &zeros(vectors, "dk") + &zeros(vectors, "dv");
        return head
            + &include_str!("of_keys_software.wgsl")
                .replace("$START\n", &start)
                .replace("$SPAN\n", &span(form, tier, "query"))
                .replace("$PRODUCTS\n", &(each(vectors, &rows, 4) + &dots(vectors, &products, 4)))
                .replace("$MIX\n", &each(vectors, &["dk# += g.y * q#;", "dv# += g.x * d#;"], 4))
                .replace(
                    "$STORE\n",
                    &each(vectors, &["dk_store(here, #u, dk#);", "dv_store(here, #u, dv#);"], 1),
                );
    }
    let tile = Tile {
        tall: form.keys_tall(),
        wide: form.wide(),
    };
    let gradients = pairs(tile.tall, 2, |r, c| {
        let (query, key) = (format!("query + {c}u"), format!("top + y + {}u", 16 * r));
        format!(
            "            var g{r}_{c} = vec2<f32>(0.0);\n            if sees(example, {query}, {key}) {{\n                \
             g{r}_{c} = gradient(score(s{r}_{c}, head, {query}, {key}), t{r}_{c}, note_{c});\n            }}"
        )
    });
    let store = tile.store("key", "info[0].y", |r| {
        let sums = pairs(1, tile.wide, |_, c| {
            format!(
                "            dk_store(place, x + {0}u, dk{r}_{c});\n            dv_store(place, x + {0}u, dv{r}_{c});",
                16 * c
            )
        });
        format!("            let place = key_place(example, shared_head, key);\n{sums}")
    });
    let products = tile.product("s", ("k", "shared_head"), ("q", "head"))
        + &tile.product("t", ("v", "shared_head"), ("dout", "head"));
    head + &tile.shapes()
        + &include_str!("of_keys_gpu.wgsl")
            .replace("$START\n", &(tile.zeros("dk") + &tile.zeros("dv")))
            .replace("$SPAN\n", &span(form, tier, "query"))
            .replace("$PRODUCTS\n", &products)
            .replace(
                "$SHARES_OF_VALUES\n",
                &(gradients + &tile.share(|r| format!("g{r}_0.x, g{r}_1.x"))),
            )
            .replace("$MIX_VALUES\n", &tile.mix("dv", "dout", "head"))
            .replace("$SHARES_OF_KEYS\n", &tile.share(|r| format!("g{r}_0.y, g{r}_1.y")))
            .replace("$MIX_KEYS\n", &tile.mix("dk", "q", "head"))
            .replace("$STORE\n", &store)
}

pub(super) fn of_bias(form: &Attention, tier: Tier) -> String {
    let head = head(form, BACKWARD, &[("dbias", Holds::Numbers)]);
    if tier == Tier::Software {
        let products = [
            ("product", "q_at(here, #u)", "k_at(there, #u)"),
            ("dp", "dout_at(here, #u)", "v_at(there, #u)"),
        ];
        let products = dots(form.vectors(), &products, 4);
        return head + &include_str!("of_bias_software.wgsl").replace("$PRODUCTS\n", &products);
    }
    let tile = Tile {
        tall: BIAS_TALL,
        wide: form.wide(),
    };
    head + &tile.shapes()
        + &include_str!("of_bias_gpu.wgsl")
            .replace("$START\n", &tile.notes())
            .replace("$PRODUCTS\n", &tile.products_of_queries())
            .replace("$GRADIENTS\n", &tile.gradients())
}

/// Vectors of a row up to which each is a variable. Beyond, they are arrays, and a turn of a loop takes [`TURN`] of them: LLVM
/// takes minutes for a thousand variables (or for a loop whose turns it can count), and lavapipe ends all loops of an invocation
/// after 65535 turns together.
pub(super) const MOST_VARIABLES: usize = 32;
const TURN: usize = 8;

/// Each line for every vector of a row: `x#` is the vector of x, and `#u` its number.
fn each(vectors: usize, all: &[&str], depth: usize) -> String {
    let margin = "    ".repeat(depth);
    let written = |line: &str, margin: &str| format!("{margin}{line}\n");
    if vectors <= MOST_VARIABLES {
        let own = |c: usize| -> String {
            let line = |line: &&str| written(&line.replace('#', &c.to_string()), &margin);
            all.iter().map(line).collect()
        };
        return (0..vectors).map(own).collect();
    }
    let own = |i: usize| -> String {
        let (number, element) = (format!("c + {i}u"), format!("[c + {i}u]"));
        let line = |line: &&str| {
            let line = line
                .trim_start_matches("let ")
                .replace("#u", &number)
                .replace('#', &element);
            written(&line, &format!("{margin}    "))
        };
        all.iter().map(line).collect()
    };
    let body: String = (0..TURN).map(own).collect();
    format!("{margin}for (var c = 0u; c < info[1].w; c += {TURN}u) {{\n{body}{margin}}}\n")
}

/// Where the vectors of a row are arrays: those of these names.
fn arrays(vectors: usize, names: &[&str]) -> String {
    let size = vectors.next_multiple_of(TURN);
    match vectors {
        ..=MOST_VARIABLES => String::new(),
        _ => lines(names.len(), |i| {
            format!("    var {}: array<vec4<f32>, {size}>;", names[i])
        }),
    }
}

/// Sums of rows, from zero.
fn zeros(vectors: usize, name: &str) -> String {
    match vectors {
        ..=MOST_VARIABLES => each(vectors, &[&format!("var {name}# = vec4<f32>(0.0);")], 1),
        _ => arrays(vectors, &[name]),
    }
}

/// Sums of products of vectors, each by its name and what is multiplied.
fn dots(vectors: usize, sums: &[(&str, &str, &str)], depth: usize) -> String {
    let margin = "    ".repeat(depth);
    let start = lines(sums.len(), |i| format!("{margin}var {} = vec4<f32>(0.0);", sums[i].0));
    let terms: Vec<String> = sums.iter().map(|(sum, a, b)| format!("{sum} += {a} * {b};")).collect();
    let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
    start + &each(vectors, &terms, depth)
}

/// A workgroup's tile on a GPU: 16·tall rows, and of their sums `wide` vectors an invocation.
#[derive(Clone, Copy)]
struct Tile {
    tall: usize,
    wide: usize,
}

impl Tile {
    fn shapes(self) -> String {
        include_str!("tiles.wgsl").replace("$TALL", &self.tall.to_string())
    }

    fn zeros(self, name: &str) -> String {
        pairs(self.tall, self.wide, |r, c| {
            format!("    var {name}{r}_{c} = vec4<f32>(0.0);")
        })
    }

    /// A number of each row in a vector, `other` where there are fewer rows.
    fn of_rows(self, other: &str, number: impl Fn(usize) -> String) -> String {
        let numbers = (0..4).map(|r| if r < self.tall { number(r) } else { other.to_owned() });
        format!("vec4<f32>({})", numbers.collect::<Vec<_>>().join(", "))
    }

    /// `into` r_c: products of the rows from `top` on and the columns from `first` on; both by their buffer and its head.
    fn product(self, into: &str, (a, a_head): (&str, &str), (b, b_head): (&str, &str)) -> String {
        let start = pairs(self.tall, 2, |r, c| format!("        var {into}{r}_{c} = 0.0;"));
        let rows = lines(self.tall, |r| {
            format!("                let a{r} = scratch[(y + {}u) * STEP + p];", 16 * r)
        });
        let step = pairs(self.tall, 2, |r, c| {
            format!("                {into}{r}_{c} += dot(a{r}, b{c});")
        });
        format!(
            "{start}        for (var d = 0u; d < VECTORS; d += 4u) {{
            for (var i = local; i < ROWS * 4u; i += 256u) {{
                scratch[(i / 4u) * STEP + i % 4u] = {a}_row(example, {a_head}, top + i / 4u, d + i % 4u);
            }}
            if local < 128u {{
                // Columns 2x and 2x + 1 lie in slots x and x + 16.
                let slot = local / 4u;
                let column = first + 2u * (slot % 16u) + slot / 16u;
                scratch[(ROWS + slot) * STEP + local % 4u] = {b}_row(example, {b_head}, column, d + local % 4u);
            }}
            workgroupBarrier();
            for (var p = 0u; p < 4u; p++) {{
{rows}                let b0 = scratch[(ROWS + x) * STEP + p];
                let b1 = scratch[(ROWS + x + 16u) * STEP + p];
{step}            }}
            workgroupBarrier();
        }}
"
        )
    }

    fn products_of_queries(self) -> String {
        self.product("s", ("q", "head"), ("k", "shared_head"))
            + &self.product("t", ("dout", "head"), ("v", "shared_head"))
    }

    /// Lines that put two numbers of each row where [`Tile::mix`] reads them.
    fn share(self, numbers: impl Fn(usize) -> String) -> String {
        lines(self.tall, |r| {
            format!(
                "        shares[(y + {}u) * 16u + x] = vec2<f32>({});",
                16 * r,
                numbers(r)
            )
        })
    }

    /// What the backward pass is told of each row, where rows are queries.
    fn notes(self) -> String {
        lines(self.tall, |r| {
            format!("    let note_{r} = notes_of(example, head, top + y + {}u);", 16 * r)
        })
    }

    /// The gradients of the products, where rows are queries, as shares.
    fn gradients(self) -> String {
        pairs(self.tall, 2, |r, c| {
            let (query, key) = (format!("top + y + {}u", 16 * r), format!("key + {c}u"));
            format!(
                "        var g{r}_{c} = 0.0;\n        if sees(example, {query}, {key}) {{\n            \
                 g{r}_{c} = gradient(score(s{r}_{c}, head, {query}, {key}), t{r}_{c}, note_{r}).y;\n        }}"
            )
        }) + &self.share(|r| format!("g{r}_0, g{r}_1"))
    }

    /// `into` r_c plus the columns' rows of buffer `b`, each times its share in the row.
    fn mix(self, into: &str, b: &str, head: &str) -> String {
        let shares = lines(self.tall, |r| {
            format!("            let p{r} = shares[(y + {}u) * 16u + j];", 16 * r)
        });
        (0..self.wide)
            .map(|c| {
                let step = lines(self.tall, |r| {
                    format!("            {into}{r}_{c} += p{r}.x * b0 + p{r}.y * b1;")
                });
                format!(
                    "        for (var i = local; i < 512u; i += 256u) {{
            scratch[i] = {b}_row(example, {head}, first + i / 16u, {}u + i % 16u);
        }}
        workgroupBarrier();
        for (var j = 0u; j < 16u; j++) {{
            let b0 = scratch[32u * j + x];
            let b1 = scratch[32u * j + 16u + x];
{shares}{step}        }}
        workgroupBarrier();
",
                    16 * c
                )
            })
            .collect()
    }

    /// Stores what was summed of each row: `row` is its name, `count` what it has to be under.
    fn store(self, row: &str, count: &str, sums: impl Fn(usize) -> String) -> String {
        lines(self.tall, |r| {
            format!(
                "    {{\n        let {row} = top + y + {}u;\n        if {row} < {count} {{\n{}        }}\n    }}",
                16 * r,
                sums(r)
            )
        })
    }
}

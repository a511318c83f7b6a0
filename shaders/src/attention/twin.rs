//! Attention on the CPU: block after block of rows on several threads, a head at a time, with gemm's products. A block's scores
//! are a matrix of few rows over the keys that any of them sees.

use super::Attention;
use crate::math::{dot, exp, for_each_part, for_each_row_of, max_of, sum_of, tanh};
use std::ops::Range;

/// Rows of a block.
const BLOCK: usize = 32;

/// A matrix within a slice, by the steps from one row to the next and along a row.
#[derive(Clone, Copy)]
struct View<'a> {
    values: &'a [f32],
    down: usize,
    along: usize,
}

impl<'a> View<'a> {
    fn of(values: &'a [f32], down: usize) -> Self {
        Self { values, down, along: 1 }
    }

    fn transposed(self) -> Self {
        let Self { values, down, along } = self;
        Self {
            values,
            down: along,
            along: down,
        }
    }

    fn holds(self, rows: usize, columns: usize) -> bool {
        (rows - 1) * self.down + (columns - 1) * self.along < self.values.len()
    }
}

/// out \[m, n\] = a \[m, k\] · b \[k, n\], with what `out` holds where `adds`; `down` are the steps between its rows.
fn product([m, n, k]: [usize; 3], a: View<'_>, b: View<'_>, (out, down): (&mut [f32], usize), adds: bool) {
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    assert!(
        a.holds(m, k) && b.holds(k, n) && (m - 1) * down + n <= out.len(),
        "a product of attention was given other lengths than its shapes"
    );
    #[allow(
        unsafe_code,
        reason = "gemm takes pointers; the lengths were asserted to hold every m, n, k and step"
    )]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            down as isize,
            adds,
            a.values.as_ptr(),
            a.along as isize,
            a.down as isize,
            b.values.as_ptr(),
            b.along as isize,
            b.down as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// A block of rows of one example: its number, its first row, and its rows of two outputs.
struct Part<'a> {
    example: usize,
    top: usize,
    first: &'a mut [f32],
    second: &'a mut [f32],
}

/// Blocks of two outputs with `rows` rows an example of these widths.
fn parts<'a>(
    rows: usize,
    (first, first_width): (&'a mut [f32], usize),
    (second, second_width): (&'a mut [f32], usize),
) -> Vec<Part<'a>> {
    if rows * first_width == 0 || rows * second_width == 0 {
        return Vec::new();
    }
    let examples = first
        .chunks_mut(rows * first_width)
        .zip(second.chunks_mut(rows * second_width));
    let blocks = examples.enumerate().flat_map(|(example, (first, second))| {
        let blocks = first.chunks_mut(BLOCK * first_width);
        let blocks = blocks.zip(second.chunks_mut(BLOCK * second_width)).enumerate();
        blocks.map(move |(i, (first, second))| Part {
            example,
            top: i * BLOCK,
            first,
            second,
        })
    });
    blocks.collect()
}

/// Lines of scores that one product makes: some queries of a head, or, of a single query, the heads that share keys.
#[derive(Clone, Copy)]
struct Lines {
    example: usize,
    top: usize,
    rows: usize,
    head: usize,
    heads: usize,
    /// Keys that any of them sees.
    begin: usize,
    end: usize,
}

impl Lines {
    fn count(&self) -> usize {
        self.rows * self.heads
    }

    fn keys(&self) -> usize {
        self.end - self.begin
    }

    /// Where in a line the keys `begin` to under `end` lie, which one of the queries sees.
    fn seen(&self, (begin, end): (usize, usize)) -> Range<usize> {
        let place = |key: usize| key.clamp(self.begin, self.end) - self.begin;
        place(begin)..place(end)
    }

    /// The head and the query of a line.
    fn place(&self, line: usize) -> (usize, usize) {
        if self.heads > 1 {
            (self.head + line, self.top)
        } else {
            (self.head, self.top + line)
        }
    }
}

/// The least span that holds all of these; an empty one where they are empty.
fn around(spans: impl Iterator<Item = (usize, usize)>) -> (usize, usize) {
    let spans = spans.filter(|(begin, end)| begin < end);
    let both = spans.reduce(|(begin, end), (other_begin, other_end)| (begin.min(other_begin), end.max(other_end)));
    both.unwrap_or_default()
}

impl Attention {
    fn width(&self) -> usize {
        self.heads() * self.dim
    }

    fn kv_width(&self) -> usize {
        self.kv_heads * self.dim
    }

    /// The mask of an example's tokens.
    fn mask_of<'a>(&self, mask: &'a [f32], example: usize) -> &'a [f32] {
        &mask[example * self.keys..][..self.keys]
    }

    /// Of a span of tokens, those of the segment of `token`; all of them where rows have no segments.
    fn within_segment(&self, mask: &[f32], token: usize, (begin, end): (usize, usize)) -> (usize, usize) {
        if !self.segmented {
            return (begin, end);
        }
        let own = mask[token];
        let begin = begin.max((own as usize).saturating_sub(1)).min(end);
        let others = mask[begin..end].iter();
        (
            begin,
            begin + others.take_while(|&&other| own != 0.0 && other == own).count(),
        )
    }

    /// The keys that a query sees, those aside that are masked; `mask` is its example's.
    fn keys_of(&self, mask: &[f32], query: usize) -> (usize, usize) {
        self.within_segment(mask, query, self.key_span(query, query))
    }

    /// The queries that see a key.
    fn queries_of(&self, mask: &[f32], key: usize) -> (usize, usize) {
        self.within_segment(mask, key, self.query_span(key, key))
    }

    /// The keys that any of the queries `top` to under `top + rows` sees.
    fn keys_of_block(&self, mask: &[f32], top: usize, rows: usize) -> (usize, usize) {
        match self.segmented {
            true => around((top..top + rows).map(|query| self.keys_of(mask, query))),
            false => self.key_span(top, top + rows - 1),
        }
    }

    /// The queries that see any of the keys `top` to under `top + rows`.
    fn queries_of_block(&self, mask: &[f32], top: usize, rows: usize) -> (usize, usize) {
        match self.segmented {
            true => around((top..top + rows).map(|key| self.queries_of(mask, key))),
            false => self.query_span(top, top + rows - 1),
        }
    }

    /// The lines of a block of queries, of some heads; `mask` is their example's.
    fn lines(
        &self,
        (example, mask): (usize, &[f32]),
        (top, rows): (usize, usize),
        heads: Range<usize>,
    ) -> impl Iterator<Item = Lines> {
        let (begin, end) = self.keys_of_block(mask, top, rows);
        let together = if rows == 1 { self.group } else { 1 };
        heads.step_by(together.max(1)).map(move |head| Lines {
            example,
            top,
            rows,
            head,
            heads: together,
            begin,
            end,
        })
    }

    /// Lines of q or of its gradient, and the steps between them: they lie at the start of what is given.
    fn of_queries<'a>(&self, x: &'a [f32], lines: &Lines) -> View<'a> {
        let start = (lines.example * self.queries + lines.top) * self.width() + lines.head * self.dim;
        View::of(&x[start..], self.line_step(lines))
    }

    fn line_step(&self, lines: &Lines) -> usize {
        if lines.heads > 1 { self.dim } else { self.width() }
    }

    /// Rows of k or v from `begin` on, of a head of keys.
    fn of_keys<'a>(&self, x: &'a [f32], example: usize, begin: usize, shared: usize) -> View<'a> {
        let start = (example * self.keys + begin) * self.kv_width() + shared * self.dim;
        View::of(&x[start..], self.kv_width())
    }

    /// q · kᵀ of some lines.
    fn products(&self, q: &[f32], k: &[f32], lines: &Lines, into: &mut [f32]) {
        let (a, b) = (
            self.of_queries(q, lines),
            self.of_keys(k, lines.example, lines.begin, lines.head / self.group),
        );
        let sizes = [lines.count(), lines.keys(), self.dim];
        product(sizes, a, b.transposed(), (into, lines.keys()), false);
    }

    /// Products of a line become scores, by the bias of each.
    fn score<'a>(&self, products: &mut [f32], bias: Option<impl Iterator<Item = &'a f32>>) {
        match bias {
            None => products.iter_mut().for_each(|x| *x *= self.scale),
            Some(bias) => {
                for (x, bias) in products.iter_mut().zip(bias) {
                    *x = self.scale * (*x + bias);
                }
            }
        }
        if self.cap > 0.0 {
            let inner = 1.0 / self.cap;
            products.iter_mut().for_each(|x| *x = self.cap * tanh(*x * inner));
        }
    }

    /// The bias of each key from `begin` on, for a query of a head; `by_head` as [`Self::by_head`] makes it.
    fn bias_of<'a>(
        &self,
        by_head: &'a [f32],
        (head, query): (usize, usize),
        begin: usize,
    ) -> std::slice::Iter<'a, f32> {
        let start = head * self.diagonals() + begin + self.queries - 1 - query;
        by_head[start..].iter()
    }

    /// What lies by rows of heads, head after head.
    fn by_head(&self, x: &[f32]) -> Vec<f32> {
        let heads = self.heads();
        (0..heads)
            .flat_map(|head| x.iter().skip(head).step_by(heads.max(1)).copied())
            .collect()
    }

    /// The gradients of products from products of dout and v, which they are written over: p ∘ (dp − δ) ∘ cap′·scale where the mask
    /// is not 0. A `note` is L and δ.
    #[inline(always)]
    fn gradient(&self, s: f32, dp: f32, note: (f32, f32), mask: f32) -> (f32, f32) {
        let p = exp(s - note.0);
        let p = if mask == 0.0 { 0.0 } else { p };
        let t = s * if self.cap > 0.0 { 1.0 / self.cap } else { 0.0 };
        (p, p * (dp - note.1) * (self.scale * (1.0 - t * t)))
    }

    fn notes<'a>(&self, notes: &'a [f32]) -> Notes<'a> {
        let (logs, rest) = notes.split_at(self.rows());
        let (deltas, mask) = rest.split_at(self.rows());
        Notes { logs, deltas, mask }
    }

    /// The work of a block, in the units of [`for_each_part`].
    fn work(&self, products: usize) -> usize {
        let sizes = [self.keys, self.width(), products];
        let product = |all: usize, size: usize| all.saturating_mul(size);
        sizes.into_iter().fold(BLOCK.min(self.queries), product) / 8
    }
}

struct Notes<'a> {
    logs: &'a [f32],
    deltas: &'a [f32],
    mask: &'a [f32],
}

pub(super) fn forward(form: &Attention, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
    let [q, k, v, mask] = [inputs[0], inputs[1], inputs[2], inputs[3]];
    let bias = form.biased.then(|| form.by_head(inputs[4]));
    let [out, logs] = outputs else { return };
    let dim = form.dim;
    // A single query's heads lie one after the other, and may be parts of their own.
    let (rows, heads) = match form.queries {
        1 => (1, form.group),
        queries => (queries, form.heads()),
    };
    let of_example = form.heads() / heads.max(1);
    let parts = parts(rows, (&mut **out, heads * dim), (&mut **logs, heads));
    for_each_part(parts, form.work(2), |part| {
        let Part {
            example,
            top,
            first: out,
            second: logs,
        } = part;
        let first_head = example % of_example * heads;
        let example = example / of_example;
        let mut scores = Vec::new();
        let mask = form.mask_of(mask, example);
        let of_heads = first_head..first_head + heads;
        for lines in form.lines((example, mask), (top, logs.len() / heads), of_heads) {
            if lines.keys() == 0 {
                continue;
            }
            scores.resize(lines.count() * lines.keys(), 0.0);
            form.products(q, k, &lines, &mut scores);
            for (line, scores) in scores.chunks_exact_mut(lines.keys()).enumerate() {
                let (head, query) = lines.place(line);
                let bias = bias.as_deref();
                let bias = bias.map(|bias| form.bias_of(bias, (head, query), lines.begin));
                let seen = lines.seen(form.keys_of(mask, query));
                let mask = &mask[lines.begin..][seen.clone()];
                form.score(scores, bias);
                scores[..seen.start].fill(0.0);
                scores[seen.end..].fill(0.0);
                logs[(query - top) * heads + head - first_head] = softmax(&mut scores[seen], mask);
            }
            let values = form.of_keys(v, example, lines.begin, lines.head / form.group);
            let sizes = [lines.count(), dim, lines.keys()];
            let into = &mut out[(lines.head - first_head) * dim..];
            let scores = View::of(&scores, lines.keys());
            product(sizes, scores, values, (into, form.line_step(&lines)), false);
        }
    });
}

/// Scores become shares of the keys whose mask is not 0; gives max + log Σ exp(score − max), 0 where there is no such key.
fn softmax(scores: &mut [f32], mask: &[f32]) -> f32 {
    for (score, &mask) in scores.iter_mut().zip(mask) {
        *score = if mask == 0.0 { f32::NEG_INFINITY } else { *score };
    }
    let peak = max_of(scores);
    if peak == f32::NEG_INFINITY && scores.iter().all(|&score| score == peak) {
        scores.fill(0.0);
        return 0.0;
    }
    for score in scores.iter_mut() {
        *score = exp(*score - peak);
    }
    let sum = sum_of(scores, |share| share);
    let share = 1.0 / sum;
    scores.iter_mut().for_each(|score| *score *= share);
    peak + sum.ln()
}

pub(super) fn notes(form: &Attention, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
    let [out, dout, logs, mask] = [inputs[0], inputs[1], inputs[2], inputs[3]];
    let rows = form.rows();
    let (own, rest) = outputs[0].split_at_mut(rows);
    let (deltas, own_mask) = rest.split_at_mut(rows);
    own.copy_from_slice(logs);
    own_mask.copy_from_slice(mask);
    let dim = form.dim;
    for_each_row_of(deltas, 1, dim, |row, delta| {
        let place = row * dim..(row + 1) * dim;
        delta[0] = dot(&out[place.clone()], &dout[place]);
    });
}

/// What the backward kernels are given.
struct Backward<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    dout: &'a [f32],
    notes: Notes<'a>,
    /// Head after head.
    bias: Option<Vec<f32>>,
}

impl<'a> Backward<'a> {
    fn new(form: &Attention, inputs: &[&'a [f32]]) -> Self {
        Self {
            q: inputs[0],
            k: inputs[1],
            v: inputs[2],
            dout: inputs[3],
            notes: form.notes(inputs[4]),
            bias: form.biased.then(|| form.by_head(inputs[5])),
        }
    }

    /// The gradients of the products of some lines, in `products`; `other` is room of the same size.
    fn of_lines(&self, form: &Attention, lines: &Lines, products: &mut Vec<f32>, other: &mut Vec<f32>) {
        let (count, keys) = (lines.count(), lines.keys());
        products.resize(count * keys, 0.0);
        other.resize(count * keys, 0.0);
        form.products(self.q, self.k, lines, products);
        form.products(self.dout, self.v, lines, other);
        let both = products.chunks_exact_mut(keys).zip(other.chunks_exact(keys));
        for (line, (scores, dp)) in both.enumerate() {
            let (head, query) = lines.place(line);
            let bias = self.bias.as_deref();
            form.score(scores, bias.map(|bias| form.bias_of(bias, (head, query), lines.begin)));
            let mask = form.mask_of(self.notes.mask, lines.example);
            let seen = lines.seen(form.keys_of(mask, query));
            scores[..seen.start].fill(0.0);
            scores[seen.end..].fill(0.0);
            let place = (lines.example * form.queries + query) * form.heads() + head;
            let note = (self.notes.logs[place], self.notes.deltas[place]);
            let mask = &mask[lines.begin..][seen.clone()];
            for ((score, &dp), &mask) in scores[seen.clone()].iter_mut().zip(&dp[seen]).zip(mask) {
                *score = form.gradient(*score, dp, note, mask).1;
            }
        }
    }
}

pub(super) fn of_queries(form: &Attention, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
    let given = Backward::new(form, inputs);
    let width = form.width();
    // The second output is none, of a number a row.
    let mut none = vec![0.0; form.batch * form.queries];
    let parts = parts(form.queries, (&mut *outputs[0], width), (none.as_mut_slice(), 1));
    for_each_part(parts, form.work(3), |part| {
        let (mut scores, mut other) = (Vec::new(), Vec::new());
        let mask = form.mask_of(given.notes.mask, part.example);
        let rows = (part.top, part.second.len());
        for lines in form.lines((part.example, mask), rows, 0..form.heads()) {
            if lines.keys() == 0 {
                continue;
            }
            given.of_lines(form, &lines, &mut scores, &mut other);
            let keys = form.of_keys(given.k, lines.example, lines.begin, lines.head / form.group);
            let sizes = [lines.count(), form.dim, lines.keys()];
            let into = &mut part.first[lines.head * form.dim..];
            let scores = View::of(&scores, lines.keys());
            product(sizes, scores, keys, (into, form.line_step(&lines)), false);
        }
    });
}

pub(super) fn of_keys(form: &Attention, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
    let given = Backward::new(form, inputs);
    let [dk, dv] = outputs else { return };
    let (heads, width, dim) = (form.heads(), form.kv_width(), form.dim);
    let (logs, deltas) = (form.by_head(given.notes.logs), form.by_head(given.notes.deltas));
    let parts = parts(form.keys, (&mut **dk, width), (&mut **dv, width));
    for_each_part(parts, form.work(4), |part| {
        let Part {
            example,
            top,
            first: dk,
            second: dv,
        } = part;
        let rows = dk.len() / width;
        let of_example = form.mask_of(given.notes.mask, example);
        let (begin, end) = form.queries_of_block(of_example, top, rows);
        let count = end - begin;
        if count == 0 {
            return;
        }
        let mask = &of_example[top..top + rows];
        let (mut scores, mut other) = (vec![0.0; rows * count], vec![0.0; rows * count]);
        for head in 0..heads {
            let (shared, adds) = (head / form.group, !head.is_multiple_of(form.group));
            let lines = Lines {
                example,
                top: begin,
                rows: count,
                head,
                heads: 1,
                begin: 0,
                end: 0,
            };
            let (q, dout) = (form.of_queries(given.q, &lines), form.of_queries(given.dout, &lines));
            let of_keys = |x| form.of_keys(x, example, top, shared);
            let sizes = [rows, count, dim];
            product(sizes, of_keys(given.k), q.transposed(), (&mut scores, count), false);
            product(sizes, of_keys(given.v), dout.transposed(), (&mut other, count), false);
            let notes = (head * form.batch + example) * form.queries;
            for (row, (scores, other)) in scores
                .chunks_exact_mut(count)
                .zip(other.chunks_exact_mut(count))
                .enumerate()
            {
                let key = top + row;
                let bias = given.bias.as_deref().map(|bias| {
                    // Those of the queries from `begin` to under `end`, the last one's first.
                    let last = head * form.diagonals() + key + form.queries - end;
                    bias[last..last + count].iter().rev()
                });
                form.score(scores, bias);
                // Of a key that no query sees, none.
                let (from, to) = form.queries_of(of_example, key);
                let [from, to] = [from, to].map(|query| query.clamp(begin, end));
                let seen = from - begin..to - begin;
                for hidden in [0..seen.start, seen.end..count] {
                    scores[hidden.clone()].fill(0.0);
                    other[hidden].fill(0.0);
                }
                let notes = logs[notes + from..notes + to]
                    .iter()
                    .zip(&deltas[notes + from..notes + to]);
                let both = scores[seen.clone()].iter_mut().zip(&mut other[seen]);
                for ((score, other), (&log, &delta)) in both.zip(notes) {
                    (*score, *other) = form.gradient(*score, *other, (log, delta), mask[row]);
                }
            }
            let sizes = [rows, dim, count];
            let place = shared * dim;
            product(sizes, View::of(&scores, count), dout, (&mut dv[place..], width), adds);
            product(sizes, View::of(&other, count), q, (&mut dk[place..], width), adds);
        }
    });
}

pub(super) fn of_bias(form: &Attention, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
    let given = Backward::new(form, inputs);
    let (heads, diagonals) = (form.heads(), form.diagonals());
    let mut by_head = vec![0.0_f32; heads * diagonals];
    if by_head.is_empty() {
        return;
    }
    let parts = by_head.chunks_mut(diagonals).enumerate().collect();
    let work = form.batch * form.queries * form.keys * form.dim / 4;
    for_each_part(parts, work, |(head, sums): (usize, &mut [f32])| {
        let (mut scores, mut other) = (Vec::new(), Vec::new());
        for example in 0..form.batch {
            for top in (0..form.queries).step_by(BLOCK) {
                let rows = BLOCK.min(form.queries - top);
                let mask = form.mask_of(given.notes.mask, example);
                let (begin, end) = form.keys_of_block(mask, top, rows);
                if begin == end {
                    continue;
                }
                let lines = Lines {
                    example,
                    top,
                    rows,
                    head,
                    heads: 1,
                    begin,
                    end,
                };
                given.of_lines(form, &lines, &mut scores, &mut other);
                for (row, scores) in scores.chunks_exact(end - begin).enumerate() {
                    let start = begin + form.queries - 1 - (top + row);
                    for (sum, score) in sums[start..].iter_mut().zip(scores) {
                        *sum += score;
                    }
                }
            }
        }
    });
    for (place, value) in outputs[0].iter_mut().enumerate() {
        *value = by_head[place % heads * diagonals + place / heads];
    }
}

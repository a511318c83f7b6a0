//! Text from a model: the next token is chosen from the logits on the host, put through the model with its keys and values
//! cached, and handed out as text as soon as it is whole.
//!
//! The order of the filters is transformers': temperature, then top-k, then top-p. A generation ends at a token of the
//! model's end-of-text set, at a stop text, after `max_new_tokens`, at the end of the model's positions, or when it is
//! cancelled. Beams, penalties and batches of prompts are left out.

use crate::device;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::models::{HeadKind, KvCache, Leaves, Model, Waits, read};
use crate::ops::first_number;
use crate::protocol::GenerateOptions;
use crate::random::Generator;
use crate::tokenizer::Tokenizer;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::device as msg;

/// Tokens of a prompt that are put through a GPU at a time.
const PROMPT_PIECE: usize = 256;

/// A finished continuation.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// The text, without the stop text that ended it.
    pub text: String,
    /// Tokens generated, the one that ended the text included.
    pub tokens: usize,
    /// Wall time of the whole call.
    pub seconds: f64,
}

/// What a continuation is made with.
pub struct Generation<'a> {
    /// The model.
    pub model: &'a Model,
    /// Its trainable tensors, untracked.
    pub leaves: &'a Leaves,
    /// Its tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// Tokens that end a text.
    pub end: &'a [u32],
    /// Whether the adapter takes part.
    pub adapter: bool,
    /// Clock and cooperative yielding.
    pub host: Host,
}

impl Generation<'_> {
    /// Continues the tokens `prompt`; `emit` gets the text in pieces as it grows, and `cancelled` is asked before each token.
    ///
    /// # Errors
    /// Options that are out of range, an empty prompt or one that fills the model's positions, logits that are not numbers,
    /// a lost device.
    pub async fn run(
        &self,
        prompt: &[u32],
        options: &GenerateOptions,
        cancelled: &dyn Fn() -> bool,
        emit: &mut dyn FnMut(&str),
    ) -> Result<Generated> {
        check(options)?;
        if !self.model.generates() {
            return Err(Error::model(msg::WritesNoText).remedy(msg::LoadTextModel));
        }
        let limits = self.model.limits();
        if prompt.is_empty() {
            return Err(Error::config(msg::EmptyPrompt).field("prompt").remedy(msg::GiveAWord));
        }
        limits
            .check_tokens(prompt, self.tokenizer)
            .map_err(|error| error.field("prompt"))?;
        if prompt.len() >= limits.tokens {
            let what = msg::PromptTooLong {
                tokens: prompt.len(),
                positions: limits.tokens,
            };
            return Err(Error::config(what).field("prompt").remedy(msg::ShortenPrompt));
        }
        let started_ms = (self.host.now_ms)();
        let limit = options.max_new_tokens.min(limits.tokens - prompt.len());
        let mut cache = self.model.new_cache();
        let mut random = Generator::new(options.seed, "sample");
        let mut decoder = self.tokenizer.stream_decoder(true);
        let mut text = Text::new(&options.stop);
        let mut tokens = 0;
        let mut input = self.read_ahead(prompt, &mut cache, cancelled).await?.to_vec();
        while tokens < limit && !cancelled() {
            let logits = self.model.next_logits(self.leaves, &input, &mut cache, self.adapter);
            let logits = read(logits.reshape([-1])).await?;
            let token = choose(&logits, options, random.uniform())?;
            tokens += 1;
            if self.end.contains(&token) {
                break;
            }
            if let Some(piece) = decoder.push(token)?
                && text.push(&piece, emit)
            {
                break;
            }
            input = vec![token];
            // A token more, and keys, values and scores of other sizes.
            device::trim(self.model.device());
            (self.host.yield_now)().await;
        }
        if let (false, Some(piece)) = (text.ended, decoder.finish()?) {
            text.push(&piece, emit);
        }
        text.finish(emit);
        let seconds = ((self.host.now_ms)() - started_ms) / 1000.0;
        Ok(Generated {
            text: text.done,
            tokens,
            seconds,
        })
    }
}

impl Generation<'_> {
    /// Puts all but the last tokens of a long prompt through a decoder on a GPU, a piece at a time with waits where it is slow, and
    /// gives the rest; where a stop ended it, whatever is left.
    async fn read_ahead<'p>(
        &self,
        prompt: &'p [u32],
        cache: &mut KvCache,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<&'p [u32]> {
        let device = self.model.device();
        let mut rest = prompt;
        if !device::is_gpu(device) || self.model.task() != HeadKind::CausalLm {
            return Ok(rest);
        }
        let mut waits = Waits::new(&self.host);
        while rest.len() > PROMPT_PIECE && !cancelled() {
            let (piece, others) = rest.split_at(PROMPT_PIECE);
            let logits = self.model.next_logits(self.leaves, piece, cache, self.adapter);
            waits.after(device, move || Some(first_number(&logits))).await?;
            device::trim(device);
            rest = others;
        }
        Ok(rest)
    }
}

/// Refuses options that mean nothing.
fn check(options: &GenerateOptions) -> Result<()> {
    if options.max_new_tokens == 0 {
        let error = Error::config(msg::NoNewTokens).field("max_new_tokens");
        return Err(error.remedy(msg::Try64));
    }
    if options.do_sample && !(options.temperature > 0.0 && options.temperature.is_finite()) {
        let got = options.temperature;
        let error = Error::config(common::NotAboveZero { got }).field("temperature");
        return Err(error.remedy(msg::TryTemperature));
    }
    if options.do_sample && !(options.top_p > 0.0 && options.top_p <= 1.0) {
        let error = Error::config(msg::NotTopP { got: options.top_p }).field("top_p");
        return Err(error.remedy(msg::TryTopP));
    }
    Ok(())
}

/// The next token: the likeliest one, or one drawn by `uniform` (in 0..1) from what the filters leave.
///
/// p = softmax(logits / temperature); top-k keeps the tokens whose logit is at least the k-th largest; top-p then keeps the
/// likeliest tokens up to and including the one at which their probabilities reach `top_p`.
///
/// # Errors
/// Logits that are not finite numbers: the weights are broken.
pub fn choose(logits: &[f32], options: &GenerateOptions, uniform: f64) -> Result<u32> {
    if logits.is_empty() || logits.iter().any(|logit| logit.is_nan() || *logit == f32::INFINITY) {
        return Err(Error::new(Kind::Diverged, msg::ScoresNotNumbers).remedy(msg::WeightsAreBroken));
    }
    let descending = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    let mut kept: Vec<u32> = (0..logits.len() as u32).collect();
    if !options.do_sample {
        // `min_by` with a total order: the lowest id wins a tie, as in torch's argmax.
        return kept
            .into_iter()
            .min_by(descending)
            .ok_or_else(|| Error::internal(msg::NoLogits));
    }
    if options.top_k > 0 && options.top_k < kept.len() {
        let (_, &mut threshold, _) = kept.select_nth_unstable_by(options.top_k - 1, descending);
        kept.retain(|&id| logits[id as usize] >= logits[threshold as usize]);
    }
    kept.sort_unstable_by(descending);
    let top = f64::from(logits[kept[0] as usize]);
    let mut weights: Vec<f64> = kept
        .iter()
        .map(|&id| ((f64::from(logits[id as usize]) - top) / options.temperature).exp())
        .collect();
    if options.top_p < 1.0 {
        let budget = options.top_p * weights.iter().sum::<f64>();
        let mut mass = 0.0;
        let count = weights.iter().take_while(|&&weight| {
            let more = mass < budget;
            mass += weight;
            more
        });
        weights.truncate(count.count().max(1));
    }
    let mut rest = uniform * weights.iter().sum::<f64>();
    for (&id, weight) in kept.iter().zip(&weights) {
        rest -= weight;
        if rest < 0.0 {
            return Ok(id);
        }
    }
    // Rounding may leave a crumb: it belongs to the last token that was kept.
    Ok(kept[weights.len() - 1])
}

/// Text as it grows, holding back an end that may turn out to be the start of a stop text.
struct Text<'a> {
    stops: &'a [String],
    done: String,
    emitted: usize,
    ended: bool,
}

impl<'a> Text<'a> {
    fn new(stops: &'a [String]) -> Self {
        Self {
            stops,
            done: String::new(),
            emitted: 0,
            ended: false,
        }
    }

    /// Appends `piece`, emits what is certain, and tells whether a stop text was reached (it is cut off).
    fn push(&mut self, piece: &str, emit: &mut dyn FnMut(&str)) -> bool {
        self.done.push_str(piece);
        let stops = self.stops.iter().filter(|stop| !stop.is_empty());
        let reached = stops
            .clone()
            .filter_map(|stop| self.done[self.emitted..].find(stop.as_str()))
            .min();
        if let Some(at) = reached {
            self.done.truncate(self.emitted + at);
            self.ended = true;
            return true;
        }
        let open = &self.done[self.emitted..];
        let held = stops
            .flat_map(|stop| stop.char_indices().map(move |(at, _)| &stop[..at]))
            .filter(|start| open.ends_with(start))
            .map(str::len)
            .max()
            .unwrap_or(0);
        self.emit_to(self.done.len() - held, emit);
        false
    }

    /// Emits what was held back.
    fn finish(&mut self, emit: &mut dyn FnMut(&str)) {
        self.emit_to(self.done.len(), emit);
    }

    fn emit_to(&mut self, end: usize, emit: &mut dyn FnMut(&str)) {
        if end > self.emitted {
            emit(&self.done[self.emitted..end]);
            self.emitted = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling() -> GenerateOptions {
        GenerateOptions {
            do_sample: true,
            top_k: 0,
            ..Default::default()
        }
    }

    /// The share of each token over a fine grid of draws.
    fn shares(logits: &[f32], options: &GenerateOptions) -> Vec<f64> {
        let draws = 10_000;
        let mut shares = vec![0.0; logits.len()];
        for draw in 0..draws {
            let id = choose(logits, options, (draw as f64 + 0.5) / draws as f64).expect("a token");
            shares[id as usize] += 1.0 / draws as f64;
        }
        shares
    }

    fn assert_close(got: &[f64], want: &[f64]) {
        let close = got.iter().zip(want).all(|(got, want)| (got - want).abs() < 2e-3);
        assert!(close && got.len() == want.len(), "{got:?} instead of {want:?}");
    }

    #[test]
    fn greedy_takes_the_likeliest_and_the_first_of_equals() {
        assert_eq!(choose(&[0.0, 2.0, 2.0, 1.0], &GenerateOptions::default(), 0.9), Ok(1));
    }

    #[test]
    fn plain_sampling_follows_the_softmax() {
        let logits = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
        assert_close(&shares(&logits, &sampling()), &[0.5, 0.3, 0.2]);
    }

    #[test]
    fn the_temperature_comes_before_top_p() {
        // At temperature ½ the probabilities 0.5, 0.3, 0.2 become 25/38, 9/38, 4/38: 0.66 alone passes top_p 0.6.
        let logits = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
        let options = GenerateOptions {
            temperature: 0.5,
            top_p: 0.6,
            ..sampling()
        };
        assert_close(&shares(&logits, &options), &[1.0, 0.0, 0.0]);
        let options = GenerateOptions {
            temperature: 1.0,
            top_p: 0.6,
            ..sampling()
        };
        assert_close(&shares(&logits, &options), &[0.625, 0.375, 0.0]);
    }

    #[test]
    fn top_p_counts_what_top_k_left() {
        // Of the two that top-k keeps, the first holds 0.4 / 0.7 = 0.57 of the mass and so reaches 0.5 alone.
        let logits = [0.4f32.ln(), 0.3f32.ln(), 0.2f32.ln(), 0.1f32.ln()];
        let options = GenerateOptions {
            top_k: 2,
            top_p: 0.5,
            ..sampling()
        };
        assert_close(&shares(&logits, &options), &[1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn top_k_keeps_ties_with_the_last_one_in() {
        let options = GenerateOptions { top_k: 2, ..sampling() };
        assert_close(
            &shares(&[1.0, 0.0, 1.0, 1.0], &options),
            &[1.0 / 3.0, 0.0, 1.0 / 3.0, 1.0 / 3.0],
        );
    }

    #[test]
    fn scores_that_are_not_numbers_are_an_error() {
        let error = choose(&[0.0, f32::NAN], &sampling(), 0.5).expect_err("NaN");
        assert_eq!(error.kind, Kind::Diverged);
    }

    #[test]
    fn a_stop_text_ends_the_text_and_is_never_shown() {
        let stops = vec!["\nUser:".to_owned()];
        let mut text = Text::new(&stops);
        let mut shown = String::new();
        let mut stopped = false;
        for piece in ["Hello", "\n", "Us", "age\n", "User", ": more"] {
            assert!(!stopped);
            stopped = text.push(piece, &mut |piece| shown.push_str(piece));
        }
        text.finish(&mut |piece| shown.push_str(piece));
        assert!(stopped);
        assert_eq!(shown, "Hello\nUsage");
        assert_eq!(text.done, "Hello\nUsage");
    }

    #[test]
    fn what_looks_like_a_stop_text_but_is_none_is_shown_in_the_end() {
        let stops = vec!["é!".to_owned()];
        let mut text = Text::new(&stops);
        let mut shown = String::new();
        assert!(!text.push("café", &mut |piece| shown.push_str(piece)));
        assert_eq!(shown, "caf");
        text.finish(&mut |piece| shown.push_str(piece));
        assert_eq!(shown, "café");
    }

    #[test]
    fn a_temperature_of_zero_is_refused_with_the_way_out() {
        let error = check(&GenerateOptions {
            temperature: 0.0,
            ..sampling()
        })
        .expect_err("0");
        assert_eq!(error.field_name(), Some("temperature"));
        assert!(
            check(&GenerateOptions {
                temperature: 0.0,
                ..Default::default()
            })
            .is_ok(),
            "greedy ignores it"
        );
    }
}

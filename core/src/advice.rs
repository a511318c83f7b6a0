//! Recommended settings for a task, a model, data and a device, each with its reason, what it rests on and why not another; and
//! cautions where settings do not go well together. Plain rules on plain numbers: [`advise`] is a pure function of [`Facts`] and
//! settings. Whoever has loaded a model and data gathers the facts.

mod cautions;
mod doubts;

pub use doubts::{doubt_of_rows, doubt_of_score};

use crate::config::{FinetuningType, RunConfig, find};
use crate::task::Task;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::advice as msg;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The rates of adapters, of full fine-tuning, of fresh weights, and of preferences with and without adapters.
const LORA_RATE: f64 = 2e-4;
const FULL_RATE: f64 = 2e-5;
const FRESH_RATE: f64 = 1e-3;
const PREFERENCE_RATE: f64 = 5e-6;
const FULL_PREFERENCE_RATE: f64 = 1e-6;
/// Rows of a batch for losses that compare them.
const CONTRAST_ROWS: usize = 32;
/// Rows of a step, and how many there have to be for so many.
const STEP_ROWS: [(usize, usize); 3] = [(64, 8), (16, 4), (0, 2)];
/// Rows of a step of fresh weights, where there are ten such steps in a pass, and else.
const FRESH_STEP_ROWS: [usize; 2] = [32, 8];
/// Steps that fresh weights need, and the passes that this may take.
const FRESH_STEPS: usize = 500;
const FRESH_EPOCHS: (usize, usize) = (3, 100);
/// Rows up to so many tokens are short: several at a time use the device better.
const SHORT_TOKENS: usize = 128;
/// Rows from which one pass is enough.
const MANY_ROWS: usize = 50_000;
/// The share of rows that the cutoff is to hold, and the step of its values.
const HELD_SHARE: f64 = 0.95;
const CUTOFF_STEP: usize = 32;
/// Of fewer rows a head of an encoder is to start from the linear probe.
const PROBE_ROWS: usize = 1_000;
/// Encoders up to so many weights may be tuned throughout.
const SMALL_ENCODER: u64 = 500_000_000;

/// What kind of model is tuned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// A pretrained decoder, GPT-like.
    Decoder,
    /// A pretrained encoder, BERT-like.
    Encoder,
    /// A pretrained encoder-decoder, T5-like.
    EncoderDecoder,
    /// A model of fresh weights, or a small one that was trained from such.
    Fresh,
}

/// What is known of a run before it starts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// What is learnt.
    pub task: Task,
    /// The kind of the model.
    pub model: ModelKind,
    /// Its weights.
    pub parameters: u64,
    /// Rows that are trained on; of packed texts, blocks.
    pub rows: usize,
    /// Rows that are held out.
    pub held_out: usize,
    /// Tokens of each row that is trained on before it is cut, ascending, one more than there are positions for of rows that are
    /// longer; empty where rows have no length of their own: packed texts, numbers.
    #[serde(skip)]
    pub lengths: Vec<usize>,
    /// The most tokens of a row that the model has positions for.
    pub most_tokens: usize,
    /// Whether the loss compares the rows of a batch with each other.
    pub compares_batch: bool,
    /// Whether the head is new and could start from the linear probe.
    pub takes_probe: bool,
    /// The most that the device can give, in bytes, where that is known.
    pub available_bytes: Option<u64>,
    /// What the run takes at its peak, where that is known.
    pub peak_bytes: Option<u64>,
    /// The same with the base in its files' formats, without `quantization_bit` and `fp8`.
    pub plain_peak_bytes: Option<u64>,
}

/// A knob by its name in the table. (By its own name, a reference that lives as long as the program would be taken for one into
/// the JSON that it is read from.)
type KnobName = &'static str;

/// A setting with its reasons; all sentences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    /// The knob.
    #[serde(deserialize_with = "known")]
    pub knob: KnobName,
    /// What to set it to, as a run file has it.
    pub value: Value,
    /// What the run has.
    pub current: Value,
    /// Why for this run.
    pub reason: Message,
    /// The rule, and where it comes from.
    pub evidence: Message,
    /// Why not another value.
    pub why_not: Message,
}

/// Settings that do not go well together, or with the data; sentences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Caution {
    /// The knob to change.
    #[serde(deserialize_with = "known")]
    pub knob: KnobName,
    /// The others that have a part in it.
    #[serde(deserialize_with = "all_known")]
    pub others: Vec<KnobName>,
    /// What is unwise.
    pub what: Message,
    /// What to do.
    pub remedy: Message,
    /// What to set the knob to, where that alone is the way out.
    pub way_out: Option<Value>,
}

/// Why tuning may not be worth it; sentences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Doubt {
    /// Why.
    pub what: Message,
    /// What to do instead.
    pub remedy: Message,
}

/// What is recommended, and what to beware of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// In the order in which a person decides.
    pub settings: Vec<Recommendation>,
    /// What is unwise in the run's settings as they are.
    pub cautions: Vec<Caution>,
    /// Whatever the settings are, why the run may not be worth it.
    pub doubts: Vec<Doubt>,
}

/// The knob of a name that was written.
fn named<E: serde::de::Error>(name: &str) -> Result<KnobName, E> {
    let knob = find(name).ok_or_else(|| E::custom(format!("no knob is called {name}")))?;
    Ok(knob.name)
}

fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KnobName, D::Error> {
    named(&String::deserialize(deserializer)?)
}

fn all_known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<KnobName>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    names.iter().map(|name| named(name)).collect()
}

/// What to set for a run with these facts, and what is unwise in `config`.
pub fn advise(facts: &Facts, config: &RunConfig) -> Advice {
    let mut rules = Rules {
        facts,
        config,
        settings: Vec::new(),
    };
    let kind = rules.finetuning_type();
    rules.learning_rate(kind);
    rules.schedule();
    let step_rows = rules.batches();
    rules.epochs(step_rows);
    match kind {
        FinetuningType::Lora => {
            rules.adapters();
            rules.quantization();
        }
        FinetuningType::Full => rules.no_formats(),
    }
    rules.head_start();
    rules.data();
    rules.optimizer(kind);
    Advice {
        cautions: cautions::of(facts, config),
        doubts: doubts::of(facts),
        settings: rules.settings,
    }
}

impl Facts {
    /// The length that this share of the rows does not exceed, from 0 to 1; none where rows have no lengths.
    pub fn length_at(&self, share: f64) -> Option<usize> {
        let last = self.lengths.len().checked_sub(1)?;
        let place = (share * self.lengths.len() as f64).ceil() as usize;
        self.lengths.get(place.saturating_sub(1).min(last)).copied()
    }

    /// Whether `bytes` are known not to fit.
    fn is_above(&self, bytes: Option<u64>) -> bool {
        bytes
            .zip(self.available_bytes)
            .is_some_and(|(bytes, available)| bytes > available)
    }

    /// Whether the run is known not to fit.
    fn is_tight(&self) -> bool {
        self.is_above(self.peak_bytes)
    }

    /// The cutoff that holds 95% of the rows, in whole steps, within the model's positions; none where rows have no lengths.
    fn cutoff(&self) -> Option<usize> {
        let tokens = self.length_at(HELD_SHARE)?;
        Some(tokens.next_multiple_of(CUTOFF_STEP).min(self.most_tokens).max(2))
    }

    /// The rank by task and rows.
    fn rank(&self) -> usize {
        match (self.task, self.rows) {
            (Task::Generation | Task::Preference, 5_000..) => 16,
            (Task::Generation | Task::Preference, _) | (_, 500..) => 8,
            _ => 4,
        }
    }

    /// The passes to start with, of pretrained weights.
    fn epochs(&self) -> usize {
        if self.rows >= MANY_ROWS { 1 } else { 3 }
    }

    /// The rate by what is trained.
    fn rate(&self, kind: FinetuningType) -> f64 {
        match (self.model, self.task, kind) {
            (ModelKind::Fresh, ..) => FRESH_RATE,
            (_, Task::Preference, FinetuningType::Lora) => PREFERENCE_RATE,
            (_, Task::Preference, FinetuningType::Full) => FULL_PREFERENCE_RATE,
            (_, _, FinetuningType::Lora) => LORA_RATE,
            (_, _, FinetuningType::Full) => FULL_RATE,
        }
    }
}

/// The recommendations as they come together.
struct Rules<'a> {
    facts: &'a Facts,
    config: &'a RunConfig,
    settings: Vec<Recommendation>,
}

impl Rules<'_> {
    fn add(
        &mut self,
        knob: &'static str,
        value: impl Into<Value>,
        reason: impl Into<Message>,
        evidence: impl Into<Message>,
        why_not: impl Into<Message>,
    ) {
        self.settings.push(Recommendation {
            knob,
            value: value.into(),
            current: self.config.get(knob).unwrap_or_default(),
            reason: reason.into(),
            evidence: evidence.into(),
            why_not: why_not.into(),
        });
    }

    fn finetuning_type(&mut self) -> FinetuningType {
        let knob = "finetuning_type";
        let is_small_encoder = self.facts.model == ModelKind::Encoder && self.facts.parameters <= SMALL_ENCODER;
        let (full, lora) = (FinetuningType::Full, FinetuningType::Lora);
        if self.facts.model == ModelKind::Fresh {
            self.add(
                knob,
                full.name(),
                msg::FreshIsFull,
                msg::AdaptersOnPretrained,
                msg::NotLoraOnFresh,
            );
            return full;
        }
        if is_small_encoder && self.config.finetuning_type == full && !self.facts.is_tight() {
            let parameters = self.facts.parameters / 1_000_000;
            self.add(
                knob,
                full.name(),
                msg::EncoderIsFull { parameters },
                msg::BertIsFull,
                msg::OrLora,
            );
            return full;
        }
        let rows = self.facts.rows;
        self.add(
            knob,
            lora.name(),
            msg::PretrainedIsLora { rows },
            msg::LoraMatchesFull,
            msg::NotFull,
        );
        lora
    }

    fn learning_rate(&mut self, kind: FinetuningType) {
        let (knob, rate) = ("learning_rate", self.facts.rate(kind));
        match (self.facts.model, self.facts.task, kind) {
            (ModelKind::Fresh, ..) => {
                self.add(
                    knob,
                    rate,
                    msg::RateOfFresh,
                    msg::RateOfFreshRests,
                    msg::NotRateOfPretrained,
                );
            }
            (_, Task::Preference, _) => {
                let (reason, evidence) = (msg::RateOfPreference, msg::RateOfPreferenceRests);
                self.add(knob, rate, reason, evidence, msg::NotRateOfAnswers);
            }
            (_, _, FinetuningType::Lora) => {
                self.add(
                    knob,
                    rate,
                    msg::RateOfAdapters,
                    msg::RateOfAdaptersRests,
                    msg::NotRateOfFull,
                );
            }
            (_, _, FinetuningType::Full) => {
                self.add(knob, rate, msg::RateOfFull, msg::RateOfFullRests, msg::NotRateOfLora);
            }
        }
    }

    fn schedule(&mut self) {
        self.add(
            "lr_scheduler_type",
            "cosine",
            msg::CosineAnneals,
            msg::CosineRests,
            msg::NotConstant,
        );
        if self.config.warmup_steps > 0 {
            self.add(
                "warmup_steps",
                0,
                msg::WarmupStepsReplace,
                msg::WarmupRests,
                msg::NotWarmupSteps,
            );
        }
        self.add(
            "warmup_ratio",
            0.1,
            msg::WarmupGuards,
            msg::WarmupRests,
            msg::NotNoWarmup,
        );
    }

    /// Gives the rows of a step.
    fn batches(&mut self) -> usize {
        let (batch, accumulation) = ("per_device_train_batch_size", "gradient_accumulation_steps");
        let rows = self.facts.rows;
        if self.facts.compares_batch {
            let at_once = CONTRAST_ROWS.min(rows.max(2));
            self.add(
                batch,
                at_once,
                msg::BatchOfContrast,
                msg::BatchOfContrastRests,
                msg::NotSmallContrast,
            );
            let fills = msg::AccumulationFills { total: at_once };
            self.add(accumulation, 1, fills, msg::AccumulationRests, msg::NotSmallContrast);
            return at_once;
        }
        let total = match self.facts.model {
            ModelKind::Fresh => FRESH_STEP_ROWS[usize::from(rows < 10 * FRESH_STEP_ROWS[0])],
            _ => STEP_ROWS
                .iter()
                .find(|(least, _)| rows >= *least)
                .map_or(1, |(_, total)| *total),
        };
        let is_short = self
            .facts
            .length_at(HELD_SHARE)
            .is_none_or(|tokens| tokens <= SHORT_TOKENS);
        let is_packed = self.facts.lengths.is_empty() && self.facts.model != ModelKind::Fresh;
        let at_once = match (self.facts.is_tight(), is_short && !is_packed) {
            (true, _) => 1,
            (false, true) => total,
            (false, false) => 2,
        };
        match self.facts.is_tight() {
            true => self.add(
                batch,
                at_once,
                msg::BatchIsTight { total },
                msg::BatchRests,
                msg::NotOtherBatch,
            ),
            false => self.add(
                batch,
                at_once,
                msg::BatchOfRows { rows, total },
                msg::BatchRests,
                msg::NotOtherBatch,
            ),
        }
        let fills = msg::AccumulationFills { total };
        self.add(
            accumulation,
            total / at_once,
            fills,
            msg::AccumulationRests,
            msg::NotMoreAccumulation,
        );
        total
    }

    fn epochs(&mut self, step_rows: usize) {
        let (knob, rows) = ("num_train_epochs", self.facts.rows);
        // Where the run counts its steps, epochs have no effect.
        if self.config.max_steps >= 0 {
            return;
        }
        if self.facts.model == ModelKind::Fresh {
            let steps_a_pass = rows.div_ceil(step_rows).max(1);
            let epochs = FRESH_STEPS.div_ceil(steps_a_pass).clamp(FRESH_EPOCHS.0, FRESH_EPOCHS.1);
            let reason = msg::EpochsOfFresh { steps: FRESH_STEPS };
            self.add(knob, epochs, reason, msg::EpochsOfFreshRest, msg::NotThreeEpochs);
            return;
        }
        match self.facts.epochs() {
            1 => self.add(knob, 1, msg::EpochOfMany { rows }, msg::EpochsRest, msg::NotMoreEpochs),
            epochs => self.add(knob, epochs, msg::EpochsToStart, msg::EpochsRest, msg::NotMoreEpochs),
        }
    }

    fn adapters(&mut self) {
        let (task, rows, r) = (self.facts.task, self.facts.rows, self.facts.rank());
        self.add(
            "lora_r",
            r,
            msg::RankOfTask { task, rows },
            msg::RankRests,
            msg::NotOtherRank,
        );
        self.add(
            "lora_alpha",
            2 * r,
            msg::AlphaFollows { r },
            msg::AlphaRests,
            msg::NotOtherAlpha,
        );
        self.add(
            "lora_dropout",
            0.05,
            msg::DropoutSlight,
            msg::DropoutRests,
            msg::NotOtherDropout,
        );
        self.add(
            "target_modules",
            "all-linear",
            msg::AllLinear,
            msg::AllLinearRests,
            msg::NotAttentionOnly,
        );
    }

    /// Nothing where the memory is not known, nor where the run fits with fp8.
    fn quantization(&mut self) {
        let knob = "quantization_bit";
        let Some((needed, available)) = self.facts.plain_peak_bytes.zip(self.facts.available_bytes) else {
            return;
        };
        let has_fp8 = self.config.fp8.is_some();
        if has_fp8 && !self.facts.is_tight() {
            return;
        }
        let is_above = needed > available;
        let (needed, available) = (needed >> 20, available >> 20);
        match is_above {
            true => {
                let reason = msg::BitsForMemory { needed, available };
                self.add(knob, 4, reason, msg::BitsRest, msg::NotEightBits);
                if has_fp8 {
                    self.add("fp8", Value::Null, msg::BitsForFp8, msg::BitsRest, msg::NotTwoFormats);
                }
            }
            false => {
                let reason = msg::NoBitsNeeded { needed, available };
                self.add(knob, Value::Null, reason, msg::BitsRest, msg::NotFourBits);
            }
        }
    }

    /// All weights are learnt: none of the formats of frozen ones.
    fn no_formats(&mut self) {
        let formats = [
            ("quantization_bit", self.config.quantization_bit.is_some()),
            ("fp8", self.config.fp8.is_some()),
        ];
        for (knob, _) in formats.into_iter().filter(|(_, is_set)| *is_set) {
            self.add(
                knob,
                Value::Null,
                msg::FormatsOfFrozen,
                msg::FormatsOfFrozenRest,
                msg::NotFormatsOfFull,
            );
        }
    }

    fn head_start(&mut self) {
        let rows = self.facts.rows;
        let is_wanted = self.facts.takes_probe && self.facts.model == ModelKind::Encoder && rows < PROBE_ROWS;
        if is_wanted {
            let reason = msg::ProbeOfFewRows { rows };
            self.add("head_init", "probe", reason, msg::ProbeRests, msg::NotRandomHead);
        }
    }

    fn data(&mut self) {
        if let (Some(cutoff), Some(tokens), Some(longest)) = (
            self.facts.cutoff(),
            self.facts.length_at(HELD_SHARE),
            self.facts.length_at(1.0),
        ) {
            let reason = msg::CutoffHolds { tokens, longest };
            self.add("cutoff_len", cutoff, reason, msg::CutoffRests, msg::NotOtherCutoff);
        }
        if self.facts.held_out == 0 {
            self.add("val_size", 0.1, msg::HoldOut, msg::HoldOutRests, msg::NotNoneHeldOut);
        }
        self.add(
            "eval_strategy",
            "epoch",
            msg::ScoreEachEpoch,
            msg::KeepBestRests,
            msg::NotLastWeights,
        );
        self.add(
            "load_best_model_at_end",
            true,
            msg::ScoreEachEpoch,
            msg::KeepBestRests,
            msg::NotLastWeights,
        );
    }

    fn optimizer(&mut self, kind: FinetuningType) {
        let is_short = kind == FinetuningType::Full && self.facts.is_tight();
        match is_short {
            true => self.add(
                "optim",
                "adamw_8bit",
                msg::EightBitState,
                msg::EightBitStateRests,
                msg::NotFullState,
            ),
            false => self.add(
                "optim",
                "adamw_torch",
                msg::AdamWUsual,
                msg::AdamWRests,
                msg::NotEightBitState,
            ),
        }
    }
}

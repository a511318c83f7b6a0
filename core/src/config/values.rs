//! What a run file says by one word: each word stands here once, beside what it means.

use super::knob::Kind;
use super::setting::Setting;
use crate::task::Task;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Enums with the words of their variants; other words that are taken for one stand behind it.
macro_rules! words {
    ($($(#[$about:meta])* $type:ident { $(
        $(#[$meta:meta])* $variant:ident = $word:literal $(| $other:literal)*,
    )* })*) => { $(
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $type { $(
            $(#[$meta])*
            #[serde(rename = $word)]
            $variant,
        )* }

        impl $type {
            /// One of its words.
            pub(super) const KIND: Kind = Kind::Choice {
                words: &[$($word),*],
                synonyms: &[$($(($other, $word),)*)*],
            };

            /// Its word.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl Setting for $type {
            fn to_value(&self) -> Value {
                self.name().into()
            }
            fn from_value(value: Value) -> Option<Self> {
                match value.as_str()? { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    )* };
}

/// What `mask_personal` replaces: personal data, by the names of the findings of an audit.
pub const MASK_WORDS: [&str; 5] = [
    "email_addresses",
    "phone_numbers",
    "ibans",
    "payment_cards",
    "resident_ids",
];

/// What `drop_rows` leaves out: findings of an audit that are rows, by their names in it.
pub const DROP_WORDS: [&str; 15] = [
    "empty_rows",
    "missing_labels",
    "conflicting_labels",
    "exact_duplicates",
    "near_duplicates",
    "exact_leakage",
    "near_leakage",
    "mojibake",
    "replacement_characters",
    "control_characters",
    "email_addresses",
    "phone_numbers",
    "ibans",
    "payment_cards",
    "resident_ids",
];

words! {
    /// What is trained.
    #[derive(Default)]
    FinetuningType {
        /// Low-rank adapters only.
        #[default]
        Lora = "lora",
        /// Every weight.
        Full = "full",
    }

    /// What of a row a fresh head reads, or a text's vector is.
    HeadPooling {
        /// What transformers' head of the architecture reads: an encoder's first token behind its pooler, a decoder's last one.
        Cls = "cls",
        /// The mean of its tokens, as it is.
        Mean = "mean",
    }

    /// What follows the hidden layer of a head, by transformers' names; `none` leaves it linear.
    HeadActivation {
        /// max(0, x).
        Relu = "relu",
        /// x · Φ(x).
        Gelu = "gelu",
        /// x / (1 + e⁻ˣ).
        Silu = "silu",
        /// tanh x.
        Tanh = "tanh",
        /// 1 / (1 + e⁻ˣ).
        Sigmoid = "sigmoid",
        /// x.
        None = "none",
    }

    /// What a new head starts from.
    #[derive(Default)]
    HeadInit {
        /// Random weights.
        #[default]
        Random = "random",
        /// The linear probe of what it reads.
        Probe = "probe",
    }

    /// What labels are; transformers' `problem_type`.
    ProblemType {
        /// Numbers.
        Regression = "regression",
        /// One class of several.
        SingleLabel = "single_label_classification",
        /// Any of the labels.
        MultiLabel = "multi_label_classification",
    }

    /// When something happens during a run; transformers' `IntervalStrategy`.
    #[derive(Default)]
    Interval {
        /// Every so many steps.
        #[default]
        Steps = "steps",
        /// At the end of each epoch.
        Epoch = "epoch",
        /// Never.
        // What YAML readers make of an unquoted `no`.
        No = "no" | "false" | "False" | "none" | "None",
    }

    /// What happens when a run goes wrong while its numbers are finite.
    #[derive(Default)]
    DivergenceAction {
        /// It is said.
        #[default]
        Warn = "warn",
        /// The run ends.
        Stop = "stop",
        /// Nobody looks.
        // What YAML readers make of an unquoted `off`.
        Off = "off" | "false" | "False" | "no" | "none",
    }

    /// What turns gradients into steps; transformers' `OptimizerNames`.
    #[derive(Default)]
    Optimizer {
        /// AdamW as PyTorch computes it.
        #[default]
        // One algorithm in transformers, whichever kernel computes it.
        AdamwTorch = "adamw_torch" | "adamw" | "adamw_hf" | "adamw_torch_fused" | "adamw_torch_npu_fused" | "adamw_torch_xla",
        /// AdamW with moments of eight bits, as bitsandbytes has it.
        // bitsandbytes' algorithm; paging moves its state between memories and changes no number.
        Adamw8bit = "adamw_8bit" | "adamw_bnb_8bit" | "paged_adamw_8bit",
    }

    /// How the letters of a data file are written as bytes; Python's names, as pandas and datasets take them. ISO-8859-1 is read as
    /// Windows-1252, which has a sign where that one has a control character (WHATWG, Encoding).
    Encoding {
        /// UTF-8.
        Utf8 = "utf-8" | "utf8" | "UTF8" | "utf_8" | "utf-8-sig" | "utf_8_sig" | "ascii",
        /// UTF-16 as its mark says; little-endian without one.
        Utf16 = "utf-16" | "utf16" | "UTF16" | "utf_16",
        /// UTF-16, the lower byte first.
        Utf16Le = "utf-16-le" | "utf-16le" | "UTF-16LE" | "utf_16_le",
        /// UTF-16, the higher byte first.
        Utf16Be = "utf-16-be" | "utf-16be" | "UTF-16BE" | "utf_16_be",
        /// GB18030, of which GBK and GB2312 are parts.
        Gb18030 = "gb18030" | "gbk" | "GBK" | "gb2312" | "GB2312" | "cp936" | "936",
        /// Windows-1252, Western Europe.
        Cp1252 = "cp1252" | "windows-1252" | "Windows-1252" | "latin-1" | "latin1" | "iso-8859-1" | "ISO-8859-1" | "1252",
    }

    /// How the numbers of rows are scaled before a model reads them.
    ScaleInputs {
        /// Each column by its mean and deviation in the training rows.
        Columns = "columns",
        /// Each row (of a series, each of its channels) by its own mean and deviation.
        Rows = "rows",
        /// Not at all.
        None = "none",
    }

    /// The sixteen values of a 4-bit base; bitsandbytes' `quant_type`.
    #[derive(Default)]
    QuantType {
        /// Quantiles of a normal distribution.
        #[default]
        Nf4 = "nf4",
        /// A 4-bit float.
        Fp4 = "fp4",
    }

    /// The 8-bit floats of an FP8 base.
    Fp8Format {
        /// Four bits of exponent, three of fraction.
        E4m3 = "e4m3",
        /// Five bits of exponent, two of fraction.
        E5m2 = "e5m2",
    }

    /// What shares a scale in an FP8 base.
    #[derive(Default)]
    Fp8Scale {
        /// The whole matrix.
        Tensor = "tensor",
        /// A row: an output of the linear.
        #[default]
        Row = "row",
        /// 128 rows by 128 columns.
        Block = "block",
    }

    /// transformers' `SchedulerType`.
    #[derive(Default)]
    SchedulerType {
        /// Down to 0 in a straight line.
        #[default]
        Linear = "linear",
        /// Down to 0 along half a cosine.
        Cosine = "cosine",
        /// Several half cosines.
        CosineWithRestarts = "cosine_with_restarts",
        /// Down to `lr_end` along a power.
        Polynomial = "polynomial",
        /// The peak throughout.
        Constant = "constant",
        /// The peak after the warm-up.
        ConstantWithWarmup = "constant_with_warmup",
        /// √(warm-up / step).
        InverseSqrt = "inverse_sqrt",
    }
}

impl ProblemType {
    /// The task with such labels.
    pub fn task(self) -> Task {
        match self {
            Self::Regression => Task::Regression,
            Self::SingleLabel => Task::Classification,
            Self::MultiLabel => Task::MultiLabel,
        }
    }
}

/// Which linears get an adapter; PEFT's `target_modules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TargetModules {
    /// `all-linear`, `default`, or one regular expression that matches a module's whole path.
    Pattern(String),
    /// Names: a module is chosen if its path equals one or ends in `.` + one.
    Names(Vec<String>),
}

impl TargetModules {
    /// Whether it is PEFT's word for every linear but the output embedding.
    pub fn is_all_linear(&self) -> bool {
        matches!(self, Self::Pattern(pattern) if pattern.eq_ignore_ascii_case("all-linear"))
    }

    /// Whether it stands for the modules that PEFT adapts in a model of its type where none are named.
    pub fn is_default(&self) -> bool {
        matches!(self, Self::Pattern(pattern) if pattern == "default")
    }
}

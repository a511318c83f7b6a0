//! What an audit says of data: findings, where they are, what they do to a training and what to do about them.

use lorakeet_i18n::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An audit of the data of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditReport {
    /// The file's name.
    pub name: String,
    /// Rows with something in them, of both roles; of a text without columns its paragraphs.
    pub rows: usize,
    /// Of these, rows that are held out: those of the validation file, or those that a run would split off.
    pub held_out: usize,
    /// The columns that were read as text.
    pub texts: Vec<String>,
    /// The columns that were read as labels.
    pub labels: Vec<String>,
    /// Rows of each class, the largest first; none of other labels.
    pub classes: Vec<(String, u64)>,
    /// Rows by the script that most of their letters are of (Unicode's names), the most frequent first.
    pub scripts: Vec<(String, u64)>,
    /// How the files were read.
    pub notes: Vec<Message>,
    /// What was found, serious things first.
    pub findings: Vec<AuditFinding>,
    /// What `drop_rows` left out of both files before they were looked at.
    #[serde(default)]
    pub dropped: Vec<AuditDropped>,
}

impl AuditReport {
    /// What was found of this kind.
    pub fn finding(&self, kind: AuditKind) -> Option<&AuditFinding> {
        self.findings.iter().find(|finding| finding.kind == kind)
    }
}

/// One kind of thing that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditFinding {
    /// What it is.
    pub kind: AuditKind,
    /// Whether a run on these data learns or reports something wrong.
    pub serious: bool,
    /// How many rows have it; of classes, how many classes.
    pub count: u64,
    /// The first of them.
    pub rows: Vec<AuditPlace>,
    /// It in words, as a sentence.
    pub what: Message,
    /// What it does to a training.
    pub effect: Message,
    /// What to do.
    pub remedy: Message,
    /// The word of `drop_rows` that leaves such rows out of a run, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_as: Option<AuditKind>,
    /// The setting that is the remedy, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setting: Option<AuditSetting>,
}

/// A setting that sees to a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditSetting {
    /// The knob, by its name.
    pub knob: String,
    /// Its value, as a run file has it.
    pub value: Value,
}

/// Rows that `drop_rows` left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditDropped {
    /// By which of its words.
    pub kind: AuditKind,
    /// How many.
    pub count: u64,
}

/// A row in which something was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPlace {
    /// Its number, as errors have it; of a text without columns the line in which the paragraph begins.
    pub row: usize,
    /// Whether it is a row of the validation file.
    pub in_validation: bool,
    /// The start of its text; of personal data the place alone, with most letters masked.
    pub excerpt: String,
    /// The row that it is like, where it is like another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<usize>,
}

/// What an audit looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditKind {
    /// Held-out rows whose text is trained on, too.
    ExactLeakage,
    /// Held-out rows that are nearly the same as one that is trained on.
    NearLeakage,
    /// Rows of one text with different labels.
    ConflictingLabels,
    /// Rows with a text and no label.
    MissingLabels,
    /// Rows whose words are those of another class.
    ProbablyMislabelled,
    /// Rows of which no token is trained on.
    AllMasked,
    /// Rows without a text or without an answer.
    EmptyRows,
    /// UTF-8 that was read as another encoding.
    Mojibake,
    /// U+FFFD, which stands where a character was lost.
    ReplacementCharacters,
    /// Control characters.
    ControlCharacters,
    /// E-mail addresses.
    EmailAddresses,
    /// Phone numbers.
    PhoneNumbers,
    /// Account numbers.
    Ibans,
    /// Numbers of payment cards.
    PaymentCards,
    /// Chinese resident identity numbers.
    ResidentIds,
    /// Rows whose text stands in an earlier row of the same role.
    ExactDuplicates,
    /// Rows that are nearly the same as an earlier one of the same role.
    NearDuplicates,
    /// Rows that are longer than `cutoff_len`.
    TooLong,
    /// Classes of fewer than five rows.
    RareClasses,
    /// A class with ten times the rows of another.
    Imbalance,
    /// Rows of another script than most.
    MixedScripts,
}

impl AuditKind {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::ExactLeakage,
        Self::NearLeakage,
        Self::ConflictingLabels,
        Self::MissingLabels,
        Self::ProbablyMislabelled,
        Self::AllMasked,
        Self::EmptyRows,
        Self::Mojibake,
        Self::ReplacementCharacters,
        Self::ControlCharacters,
        Self::EmailAddresses,
        Self::PhoneNumbers,
        Self::Ibans,
        Self::PaymentCards,
        Self::ResidentIds,
        Self::ExactDuplicates,
        Self::NearDuplicates,
        Self::TooLong,
        Self::RareClasses,
        Self::Imbalance,
        Self::MixedScripts,
    ];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its name in events.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExactLeakage => "exact_leakage",
            Self::NearLeakage => "near_leakage",
            Self::ConflictingLabels => "conflicting_labels",
            Self::MissingLabels => "missing_labels",
            Self::ProbablyMislabelled => "probably_mislabelled",
            Self::AllMasked => "all_masked",
            Self::EmptyRows => "empty_rows",
            Self::Mojibake => "mojibake",
            Self::ReplacementCharacters => "replacement_characters",
            Self::ControlCharacters => "control_characters",
            Self::EmailAddresses => "email_addresses",
            Self::PhoneNumbers => "phone_numbers",
            Self::Ibans => "ibans",
            Self::PaymentCards => "payment_cards",
            Self::ResidentIds => "resident_ids",
            Self::ExactDuplicates => "exact_duplicates",
            Self::NearDuplicates => "near_duplicates",
            Self::TooLong => "too_long",
            Self::RareClasses => "rare_classes",
            Self::Imbalance => "imbalance",
            Self::MixedScripts => "mixed_scripts",
        }
    }
}

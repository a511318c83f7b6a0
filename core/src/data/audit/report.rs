//! Findings as they are counted, and in words.

use super::labels::Classes;
use super::rows::AuditRow;
use crate::config::DROP_WORDS;
use crate::error::shortened;
use crate::protocol::{AuditFinding, AuditKind, AuditPlace, AuditSetting};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::audit as msg;
use std::collections::BTreeMap;

/// Rows of a finding that are named.
const MOST_PLACES: usize = 10;

/// Letters of a row that are shown.
const MOST_LETTERS: usize = 80;

/// A row, and what it is for.
pub(super) struct Seen<'a> {
    row: &'a AuditRow<'a>,
    pub number: usize,
    in_validation: bool,
    /// Whether it is held out.
    pub held_out: bool,
}

impl<'a> Seen<'a> {
    pub fn new(row: &'a AuditRow<'a>, in_validation: bool) -> Self {
        Self {
            row,
            number: row.number,
            in_validation,
            held_out: in_validation,
        }
    }

    pub fn text(&self) -> &'a str {
        &self.row.text
    }

    pub fn label(&self) -> Option<&'a str> {
        self.row.label.as_deref()
    }

    pub fn fields(&self) -> Option<&'a str> {
        self.row.fields.as_deref()
    }

    pub fn prompt(&self) -> Option<usize> {
        self.row.prompt
    }

    /// Its number, and whether that is of the validation file.
    pub fn place(&self) -> (usize, bool) {
        (self.number, self.in_validation)
    }
}

/// What was found, kind by kind.
#[derive(Default)]
pub(super) struct Findings(BTreeMap<AuditKind, (u64, Vec<AuditPlace>)>);

impl Findings {
    /// Adds a row, with a text to show of it and the number of the row that it is like.
    pub fn add(&mut self, kind: AuditKind, (row, in_validation): (usize, bool), text: &str, like: Option<usize>) {
        let (count, places) = self.0.entry(kind).or_default();
        *count += 1;
        if places.len() < MOST_PLACES {
            let words = shortened(text, MOST_LETTERS);
            let excerpt = words.split_whitespace().collect::<Vec<_>>().join(" ");
            places.push(AuditPlace {
                row,
                in_validation,
                excerpt,
                like,
            });
        }
    }

    /// What was found in words, serious things first.
    pub fn worded(self, wording: &Wording) -> Vec<AuditFinding> {
        let findings = self.0.into_iter().map(|(kind, (count, rows))| {
            let [what, effect, remedy] = wording.words(kind, count);
            AuditFinding {
                kind,
                serious: is_serious(kind),
                count,
                rows,
                what,
                effect,
                remedy,
                drop_as: wording.drop_as(kind),
                setting: wording.setting(kind),
            }
        });
        let mut findings: Vec<AuditFinding> = findings.collect();
        findings.sort_by_key(|finding| !finding.serious);
        findings
    }
}

/// Whether a run learns or reports something wrong.
fn is_serious(kind: AuditKind) -> bool {
    match kind {
        AuditKind::ExactLeakage
        | AuditKind::NearLeakage
        | AuditKind::ConflictingLabels
        | AuditKind::MissingLabels
        | AuditKind::AllMasked
        | AuditKind::EmptyRows
        | AuditKind::Mojibake
        | AuditKind::ReplacementCharacters
        | AuditKind::ControlCharacters
        | AuditKind::EmailAddresses
        | AuditKind::PhoneNumbers
        | AuditKind::Ibans
        | AuditKind::PaymentCards
        | AuditKind::ResidentIds => true,
        AuditKind::ExactDuplicates
        | AuditKind::NearDuplicates
        | AuditKind::ProbablyMislabelled
        | AuditKind::TooLong
        | AuditKind::RareClasses
        | AuditKind::Imbalance
        | AuditKind::MixedScripts => false,
    }
}

/// What the words depend on.
pub(super) struct Wording<'a> {
    pub cutoff: usize,
    pub is_in_tokens: bool,
    /// The `cutoff_len` that holds nearly all rows, and the one that holds those whose answers are cut away; where tokens are counted.
    pub roomy: [Option<usize>; 2],
    /// Whether there is a validation file.
    pub is_validated: bool,
    /// Whether there are rows that can be left out.
    pub has_columns: bool,
    pub classes: &'a Classes,
}

impl Wording<'_> {
    /// The word of `drop_rows` that leaves such rows out. What leaks in a split is a copy.
    fn drop_as(&self, kind: AuditKind) -> Option<AuditKind> {
        let word = match kind {
            AuditKind::ExactLeakage if !self.is_validated => AuditKind::ExactDuplicates,
            AuditKind::NearLeakage if !self.is_validated => AuditKind::NearDuplicates,
            kind => kind,
        };
        (self.has_columns && DROP_WORDS.contains(&word.name())).then_some(word)
    }

    /// The setting that is the remedy.
    fn setting(&self, kind: AuditKind) -> Option<AuditSetting> {
        let [of_nearly_all, of_masked] = self.roomy;
        let (knob, value) = match kind {
            AuditKind::TooLong => ("cutoff_len", of_nearly_all?.into()),
            AuditKind::AllMasked => ("cutoff_len", of_masked?.into()),
            AuditKind::Imbalance => ("metric_for_best_model", "f1_macro".into()),
            _ => return None,
        };
        let knob = knob.to_owned();
        Some(AuditSetting { knob, value })
    }

    /// What it is, what it does, what to do.
    fn words(&self, kind: AuditKind, count: u64) -> [Message; 3] {
        let cutoff = self.cutoff;
        let leakage: Message = match self.is_validated {
            true => msg::TakeOutOfOne.into(),
            false => msg::CleanBeforeSplit.into(),
        };
        let personal = |what: Message| [what, msg::LearntByHeart.into(), msg::MaskPersonal.into()];
        match kind {
            AuditKind::ExactLeakage => [msg::ExactLeakage { count }.into(), msg::ScoresFlatter.into(), leakage],
            AuditKind::NearLeakage => [
                msg::NearLeakage { count }.into(),
                msg::ScoresFlatter.into(),
                msg::SplitByOrigin.into(),
            ],
            AuditKind::ConflictingLabels => [
                msg::ConflictingLabels { count }.into(),
                msg::LearnsNeither.into(),
                msg::DecideLabels.into(),
            ],
            AuditKind::MissingLabels => [
                msg::MissingLabels { count }.into(),
                msg::RunRefusesLabels.into(),
                msg::FillLabels.into(),
            ],
            AuditKind::ProbablyMislabelled => [
                msg::ProbablyMislabelled { count }.into(),
                msg::TeachesWrongAnswer.into(),
                msg::ReadAndCorrect.into(),
            ],
            AuditKind::AllMasked => [
                match self.is_in_tokens {
                    true => msg::AllMasked { count, cutoff }.into(),
                    false => msg::PerhapsAllMasked { count, cutoff }.into(),
                },
                msg::NothingLearnt.into(),
                msg::RaiseCutoffOrShorten.into(),
            ],
            AuditKind::EmptyRows => [
                msg::EmptyRows { count }.into(),
                msg::RunRefusesEmpty.into(),
                msg::WriteClean.into(),
            ],
            AuditKind::Mojibake => [
                msg::Mojibake { count }.into(),
                msg::LearnsGarbage.into(),
                msg::RereadEncoding.into(),
            ],
            AuditKind::ReplacementCharacters => [
                msg::ReplacementCharacters { count }.into(),
                msg::LearnsGarbage.into(),
                msg::SaveFromSource.into(),
            ],
            AuditKind::ControlCharacters => [
                msg::ControlCharacters { count }.into(),
                msg::LearnsGarbage.into(),
                msg::TakeControlsOut.into(),
            ],
            AuditKind::EmailAddresses => personal(msg::EmailAddresses { count }.into()),
            AuditKind::PhoneNumbers => personal(msg::PhoneNumbers { count }.into()),
            AuditKind::Ibans => personal(msg::Ibans { count }.into()),
            AuditKind::PaymentCards => personal(msg::PaymentCards { count }.into()),
            AuditKind::ResidentIds => personal(msg::ResidentIds { count }.into()),
            AuditKind::ExactDuplicates => [
                msg::ExactDuplicates { count }.into(),
                msg::WeighsMore.into(),
                msg::WriteClean.into(),
            ],
            AuditKind::NearDuplicates => [
                msg::NearDuplicates { count }.into(),
                msg::WeighsMore.into(),
                msg::KeepOneOfAlike.into(),
            ],
            AuditKind::TooLong => [
                match self.is_in_tokens {
                    true => msg::TooLong { count, cutoff }.into(),
                    false => msg::PerhapsTooLong { count, cutoff }.into(),
                },
                msg::EndsAreCut.into(),
                msg::RaiseCutoffOrShorten.into(),
            ],
            AuditKind::RareClasses => [
                msg::RareClasses { count }.into(),
                msg::HardlyLearnt.into(),
                msg::JoinClasses.into(),
            ],
            AuditKind::Imbalance => {
                let counted = self.classes.counted();
                let (largest, most) = counted.first().cloned().unwrap_or_default();
                let (smallest, fewest) = counted.last().cloned().unwrap_or_default();
                let what = msg::Imbalance {
                    largest,
                    most,
                    smallest,
                    fewest,
                };
                [what.into(), msg::AccuracyFlatters.into(), msg::JudgeByF1.into()]
            }
            AuditKind::MixedScripts => [
                msg::MixedScripts { count }.into(),
                msg::ModelMayNotKnow.into(),
                msg::CheckLanguages.into(),
            ],
        }
    }
}

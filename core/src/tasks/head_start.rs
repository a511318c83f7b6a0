//! `head_init: probe`: the head starts from a linear probe of what it reads, so that a run begins where that baseline stands.
//!
//! A head of random weights distorts the features that it reads in the first steps; one that fits them already does so
//! less (Kumar, Raghunathan, Jones, Ma and Liang, Fine-tuning can distort pretrained features and underperform out-of-distribution,
//! 2022). The features are those of the run's own model before its first step, so that head and probe answer the same but for
//! rounding.

use super::TaskSpec;
use super::baselines::{MOST_PROBE_ROWS, Reads, column, column_of_classes, labels, vectors};
use crate::baseline::linear_head::LinearHead;
use crate::baseline::probe::{Features, Probe};
use crate::config::{HeadInit, HeadPooling, RunConfig, SMALL_MODELS};
use crate::data::Example;
use crate::error::{Error, Result};
use crate::formats::{SentenceModules, TextPooling};
use crate::host::Emit;
use crate::loaded_model::LoadedModel;
use crate::models::Model;
use crate::task::Task;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::head as msg;

/// The knob.
const KNOB: &str = "head_init";

/// The probe that a head starts from.
pub(crate) struct HeadStart {
    /// What the head reads of the rows that the probe is fitted to.
    pub(super) features: Features,
    /// One for classes, or one a label or number.
    probes: Vec<Probe>,
    head: LinearHead,
}

impl HeadStart {
    /// The class of each row.
    pub(super) fn classes(&self, features: &Features) -> Result<Vec<usize>> {
        self.probes
            .first()
            .map_or_else(|| Ok(Vec::new()), |probe| probe.predict_classes(features))
    }

    /// A number for each row and probe, row after row.
    pub(super) fn numbers(&self, features: &Features) -> Result<Vec<f64>> {
        let columns: Vec<Vec<f64>> = self
            .probes
            .iter()
            .map(|probe| probe.predict(features))
            .collect::<Result<_>>()?;
        let row = |row: usize| columns.iter().map(move |column| column[row]);
        Ok((0..features.rows()).flat_map(row).collect())
    }

    /// Starts the head of `model` from it.
    ///
    /// # Errors
    /// The head is not the one that it was fitted for.
    pub(crate) fn put_into(&self, model: &mut Model, emit: &mut Emit<'_>) -> Result<()> {
        model.set_last_layer(&self.head)?;
        let rows = self.features.rows();
        emit.warn(msg::HeadFromProbe { rows });
        Ok(())
    }
}

impl TaskSpec {
    /// Refuses a start from the probe where there is no probe, or a trained head would be replaced; `has_adapter` where the
    /// run goes on from an adapter.
    ///
    /// # Errors
    /// Why not, and the way out.
    pub(crate) fn check_head_init(&self, config: &RunConfig, loaded: &LoadedModel, has_adapter: bool) -> Result<()> {
        let refused =
            |what: Message, remedy: Message| -> Result<()> { Err(Error::config(what).field(KNOB).remedy(remedy)) };
        let task = self.task();
        if config.head_init == HeadInit::Random {
            return Ok(());
        }
        if !has_probe(task) {
            return refused(msg::NoProbeForTask { task }.into(), msg::ProbeTasks.into());
        }
        if loaded.files.entries().is_empty() {
            return refused(msg::ProbeOnFreshWeights.into(), msg::PretrainedForProbe.into());
        }
        if has_adapter || !self.fresh && loaded.head.is_trained(loaded) {
            return refused(msg::ProbeOverTrainedHead.into(), msg::KeepHeadOrBase.into());
        }
        Ok(())
    }

    /// Whether the head of a run with other settings, but for the start of its head, could start from the probe, and reads what makes
    /// that worth while.
    pub(crate) fn takes_probe(&self, config: &RunConfig, loaded: &LoadedModel, has_adapter: bool) -> bool {
        let asked = RunConfig {
            head_init: HeadInit::Probe,
            ..config.clone()
        };
        config.classifier_pooling != Some(HeadPooling::Cls)
            && asked.validate().is_ok()
            && self.check_head_init(&asked, loaded, has_adapter).is_ok()
    }

    /// What to do where the linear probe is better than what was tuned.
    pub(crate) fn instead_of_tuning(
        &self,
        config: &RunConfig,
        loaded: &LoadedModel,
        has_adapter: bool,
    ) -> Option<Message> {
        if config.head_init == HeadInit::Probe {
            return (config.max_steps != 0).then(|| msg::KeepProbe.into());
        }
        if self.takes_probe(config, loaded, has_adapter) {
            return Some(msg::StartFromProbe.into());
        }
        let of_mean = RunConfig {
            classifier_pooling: None,
            ..config.clone()
        };
        let is_of_mean = loaded.model.text_pooling() == TextPooling::Mean;
        (is_of_mean && self.takes_probe(&of_mean, loaded, has_adapter)).then(|| msg::StartFromProbeOfMean.into())
    }

    /// The pooling of a new head where the run does not say it, with a note why, if that is not the architecture's: the mean where the
    /// model's files make a text's vector so, or where the head starts from the probe, which is one of such vectors.
    pub(super) fn pooling_by_default(
        &self,
        config: &RunConfig,
        loaded: &LoadedModel,
    ) -> Option<(HeadPooling, Message)> {
        let is_small = SMALL_MODELS.contains(&loaded.model.info.model_type.as_str());
        if config.classifier_pooling.is_some() || is_small || !has_probe(self.task()) {
            return None;
        }
        let of_files = loaded.files.sentence.as_ref().and_then(SentenceModules::said);
        match (of_files, config.head_init) {
            (Some(TextPooling::Mean), _) => Some((HeadPooling::Mean, msg::MeanOfFiles.into())),
            (None, HeadInit::Probe) => Some((HeadPooling::Mean, msg::MeanForProbe.into())),
            _ => None,
        }
    }

    /// Where the run has its head start from the probe, that probe, fitted to the first rows of `train`; none where a stop was asked
    /// for on the way, which is told of.
    ///
    /// # Errors
    /// The probe would read random weights, cannot be fitted, or the device failed.
    pub(crate) async fn head_start(
        &self,
        config: &RunConfig,
        model: &Model,
        train: &[Example],
        emit: &mut Emit<'_>,
    ) -> Result<Option<HeadStart>> {
        if config.head_init == HeadInit::Random {
            return Ok(None);
        }
        let layer = model.last_layer()?;
        if layer.is_behind_fresh {
            let error = Error::config(msg::ProbeBehindFreshLayer).field(KNOB);
            return Err(error.remedy(msg::ProbeOfMean));
        }
        let rows = &train[..train.len().min(MOST_PROBE_ROWS)];
        let (mut done, total) = (0, rows.len() as u64);
        let Some(features) = vectors(model, rows, Reads::HeadInputs, (&mut done, total), emit).await? else {
            emit.warn(msg::ProbeStopped);
            return Ok(None);
        };
        let features = match layer.has_bias {
            true => features,
            false => features.through_origin(),
        };
        let fitted = self.fitted(features, &labels(rows));
        fitted
            .map(Some)
            .map_err(|error| error.field(KNOB).remedy(msg::WithoutProbe))
    }

    /// The probe of these labels, row after row.
    fn fitted(&self, features: Features, labels: &[f32]) -> Result<HeadStart> {
        let width = self.width();
        if self.task() == Task::Classification {
            let classes = column_of_classes(labels);
            let probe = Probe::classes(&features, &classes, width)?;
            let head = LinearHead::of_classes(&probe, &classes);
            return Ok(HeadStart {
                features,
                probes: vec![probe],
                head,
            });
        }
        // Labels are told apart by the sign, as the sigmoid of a head's output tells them.
        let middle = if self.task() == Task::MultiLabel { MIDDLE } else { 0.0 };
        let probe = |place: usize| {
            let targets: Vec<f64> = column(labels, place, width)
                .into_iter()
                .map(|value| value - middle)
                .collect();
            Probe::numbers(&features, &targets)
        };
        let probes = (0..width).map(probe).collect::<Result<Vec<_>>>()?;
        let head = match self.task() {
            Task::MultiLabel => LinearHead::of_labels(&probes, |row, label| {
                labels.get(row * width + label).is_some_and(|flag| *flag > 0.5)
            }),
            _ => LinearHead::of_numbers(&probes),
        };
        Ok(HeadStart { features, probes, head })
    }
}

/// Between a label that applies, 1, and one that does not, 0.
pub(super) const MIDDLE: f64 = 0.5;

/// Whether the task has a linear probe of rows.
fn has_probe(task: Task) -> bool {
    matches!(task, Task::Classification | Task::MultiLabel | Task::Regression)
}

//! A run of the session's shelf that has ended, opened again: what was kept of it, and the weights that it left.

use super::export::LastRun;
use super::files::config_among;
use super::history::curve;
use super::{Session, runs};
use crate::config::{FinetuningType, RunConfig};
use crate::error::{Error, Result};
use crate::finetune::Finished;
use crate::formats::ModelFiles;
use crate::head_spec::HeadRecord;
use crate::host::Emit;
use crate::loaded_model::{Weights, companions, has_unset_sizes, loaded, no_model, read_again};
use crate::protocol::{Event, OpenedRun, RunOutcome, RunRecord};
use crate::quant::BaseFormat;
use crate::store::{IndexedSink, Source};
use crate::task::Task;
use crate::train::checkpoint::put_weights;
use crate::train::fingerprint::{self, TRAIN, VALIDATION};
use crate::train::record::{read_outcome, read_record};
use lorakeet_i18n::messages::run as msg;

/// PEFT's files.
const ADAPTER: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];
/// The weights of a model that was trained throughout.
const WEIGHTS: &str = "model.safetensors";

impl Session {
    /// Tells what is kept of a run that has ended; `has_model` says that its base is loaded, which then gets the weights that the run
    /// left. Where it cannot have them, all else is told with the reason.
    ///
    /// # Errors
    /// There is no such run, it has not ended, or storage refuses.
    pub(super) async fn open_run(&mut self, id: &str, has_model: bool, emit: &mut Emit<'_>) -> Result<()> {
        let shelf = self.shelf.clone().ok_or_else(|| Error::config(msg::NoStoreToOpen))?;
        let files = IndexedSink::read(&shelf, &runs::folder(id)?).await?;
        let record = read_record(&files).await?;
        let summary = record.summary.clone();
        let summary = summary.ok_or_else(|| Error::config(msg::RunHasNotEnded).remedy(msg::ContinueRun))?;
        let outcome = read_outcome(&files, &record).await.unwrap_or_else(|| RunOutcome {
            id: record.id.clone(),
            kept: summary.steps,
            ..RunOutcome::default()
        });
        let curve = curve(&files).await;
        let config = record.config()?;
        let problem = match has_model {
            true => {
                let results = files.into_iter().filter(|(path, _)| !path.contains('/'));
                let results: Vec<Source> = results.map(|(_, source)| source).collect();
                self.take_weights(&record, &config, &results, emit).await.err()
            }
            false => None,
        };
        let has_weights = has_model && problem.is_none();
        let mut has_data = false;
        if has_weights {
            let finished = Finished {
                summary,
                kept: outcome.kept,
                task: record.task,
                metrics: outcome
                    .report
                    .as_ref()
                    .map(|report| report.metrics.clone())
                    .unwrap_or_default(),
                pace: None,
            };
            let digests = [TRAIN, VALIDATION].into_iter().filter_map(|name| {
                let digest = record.inputs.get(name)?;
                Some((name.to_owned(), digest.clone()))
            });
            let run = LastRun::new(&config, &finished, digests.collect());
            has_data = run.is_on([self.data.as_ref(), self.validation.as_ref()]);
            self.trained = Some(run);
        }
        emit.event(Event::RunOpened(Box::new(OpenedRun {
            record,
            outcome,
            curve,
            has_weights,
            has_data,
            problem,
        })));
        Ok(())
    }

    /// Puts the weights that a run left into its base, which is loaded. The next run starts from the base, as after the run itself.
    async fn take_weights(
        &mut self,
        record: &RunRecord,
        config: &RunConfig,
        results: &[Source],
        emit: &mut Emit<'_>,
    ) -> Result<()> {
        let find = |name: &str| {
            let found = results.iter().find(|file| file.name() == name).cloned();
            found.ok_or_else(|| Error::format(msg::RunLeftNoWeights).file(name))
        };
        self.trained = None;
        if self.adapter.is_some() {
            // What an adapter brought, its head for one, is not the run's.
            let model = loaded(&self.model)?;
            let (name, base) = (model.files.name.clone(), model.base);
            self.load_again(name, base, emit).await?;
        }
        let model = self.model.as_mut().ok_or_else(no_model)?;
        let is_small = has_unset_sizes(&model.files);
        let known = record.inputs.get(fingerprint::MODEL);
        if let Some(known) = known.filter(|_| !is_small)
            && !fingerprint::is_model(model, known, emit).await?
        {
            let error = Error::config(msg::OtherModelThanRuns).file(&model.files.name);
            return Err(error.remedy(msg::ChooseRunsModel));
        }
        let full = config.finetuning_type == FinetuningType::Full;
        // Of an adapter there is one only where that brings a head.
        let head = config_among(results).await?;
        let own = model.head.clone();
        let wanted = match head {
            Some(config) if full => config,
            Some(config) if HeadRecord::is_in(&config) => own.with(&config)?.config,
            _ => own.config.clone(),
        };
        if is_small {
            // It was made for the data, and has its tokenizer from there.
            model.files.tokenizer = ModelFiles::open(results.to_vec()).await?.tokenizer;
            model.companions = companions(results);
        }
        let weights = Weights {
            full,
            base: BaseFormat::from(config),
            seed: config.seed,
        };
        let is_other = model.files.config != wanted || model.files.head.is_some();
        if full || model.full || model.base != weights.base || is_other {
            read_again(&mut self.model, (wanted, None), weights, emit).await?;
        }
        let model = self.model.as_mut().ok_or_else(no_model)?;
        match full {
            true => put_weights(&find(WEIGHTS)?, &mut model.model).await?,
            false => {
                let files = ADAPTER.map(find).into_iter().collect::<Result<Vec<Source>>>()?;
                let adapter = model.files.open_adapter(files).await?;
                model.model.load_adapter(&adapter)?;
            }
        }
        model.lay_out_by(config);
        model.pool_texts_by((record.task == Task::Embedding).then_some(config));
        Ok(())
    }
}

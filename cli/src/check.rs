//! An export is read back by this program's own reader and scored on the rows that its run held out.

use crate::commands::{HOST, data_sources, name_of, sources};
use lorakeet_core::config::RunConfig;
use lorakeet_core::error::{Error, Result};
use lorakeet_core::export::Form;
use lorakeet_core::protocol::{Command, DeviceChoice, Event};
use lorakeet_core::session::Session;
use lorakeet_core::store::{Source, sha256_of};
use lorakeet_core::task::Task;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::export as msg;
use std::path::Path;

/// What belongs to the scoring of an export.
pub struct Scorer<'a> {
    /// The run behind it.
    run: &'a RunConfig,
    data: Vec<Source>,
    validation: Option<Vec<Source>>,
    device: DeviceChoice,
}

impl<'a> Scorer<'a> {
    /// The scoring of what `run` learnt, on data that have these digests; else why there is none.
    ///
    /// # Errors
    /// A file of the data cannot be read.
    pub async fn new(
        run: Option<&'a RunConfig>,
        digests: &[(String, String)],
        device: DeviceChoice,
    ) -> Result<Result<Self, Message>> {
        let Some(run) = run else {
            return Ok(Err(msg::NoRunToCompare.into()));
        };
        let parts = [
            ("train_file", Some(&run.train_file)),
            ("validation_file", run.validation_file.as_ref()),
        ];
        let mut opened = Vec::new();
        for (part, file) in parts {
            let Some(file) = file else {
                opened.push(None);
                continue;
            };
            if !Path::new(file).is_file() {
                return Ok(Err(msg::NoDataToCompare { file }.into()));
            }
            let files = data_sources(file)?;
            let digest = digests.iter().find(|(known, _)| known == part);
            // Of images and their labels there is one digest of both.
            if let (Some((_, digest)), [only]) = (digest, &files[..])
                && sha256_of(only).await? != *digest
            {
                return Ok(Err(msg::DataChanged { file }.into()));
            }
            opened.push(Some(files));
        }
        let validation = opened.pop().flatten();
        let data = opened.pop().flatten().unwrap_or_default();
        Ok(Ok(Self {
            run,
            data,
            validation,
            device,
        }))
    }

    /// The loss of a model, with an adapter on it, on the held-out rows; none where the run holds none out. `as_run` packs its base
    /// as the run does.
    ///
    /// # Errors
    /// The model cannot be read, or does not go together with the data.
    pub async fn loss(&self, model: &Path, as_run: bool, adapter: Option<&Path>) -> Result<Option<f64>> {
        let mut session = Session::new(HOST);
        let device = self.device;
        ask(&mut session, Command::Open { device }, Vec::new()).await?;
        let files = sources(model)?;
        let command = Command::LoadModel {
            files: files.iter().map(|file| file.name().to_owned()).collect(),
            name: name_of(model),
            config: as_run.then(|| Box::new(self.run.clone())),
        };
        ask(&mut session, command, files).await?;
        if let Some(adapter) = adapter {
            session.load_adapter_files(sources(adapter)?, &mut |_, _| ()).await?;
        }
        let encoding = self.run.encoding;
        ask(&mut session, Command::Encoding { encoding }, Vec::new()).await?;
        let file = self.run.train_file.clone();
        ask(&mut session, Command::LoadData { file }, self.data.clone()).await?;
        if let Some(files) = &self.validation {
            let file = self.run.validation_file.clone();
            ask(&mut session, Command::LoadValidation { file }, files.clone()).await?;
        }
        let scored = session.evaluate_held_out(self.run, &mut |_, _| ()).await?;
        Ok(scored.map(|scored| scored.loss))
    }

    /// The loss of what was written to `folder`, on `base` where it is an adapter.
    ///
    /// # Errors
    /// As [`Scorer::loss`].
    pub async fn loss_of_export(&self, form: Form, folder: &Path, base: &Path) -> Result<Option<f64>> {
        match form {
            Form::Gguf => self.loss(&folder.join(Form::GGUF_FILE), false, None).await,
            Form::Merged | Form::SentenceTransformers => self.loss(folder, false, None).await,
            Form::Peft | Form::GgufAdapter | Form::Mlx => self.loss(base, true, Some(folder)).await,
        }
    }
}

/// Why a loss of such an export cannot be compared with the run's.
pub fn not_comparable(task: Option<Task>, form: Form) -> Option<Message> {
    (form.holds_base() && task == Some(Task::Preference)).then(|| msg::ComparesWithBase.into())
}

/// Has a command served without a word; the first failure is an error.
async fn ask(session: &mut Session, command: Command, files: Vec<Source>) -> Result<()> {
    let mut failed: Option<Error> = None;
    let heard = &mut |event: Event, _| {
        if let Event::Failed(error) = event {
            failed.get_or_insert(error);
        }
    };
    session.handle(command, files, heard).await;
    failed.map_or(Ok(()), Err)
}

//! An export is read back by this program's own reader and scored on the rows that its run held out; what was only written anew is
//! compared with what it was made of.

use crate::commands::{HOST, data_sources, name_of, sources};
use crate::screen::say_note;
use lorakeet_core::config::RunConfig;
use lorakeet_core::error::{Error, Result};
use lorakeet_core::export::{Form, PackedSettings, Settings, Trained};
use lorakeet_core::formats::adapter_files::AdapterModules;
use lorakeet_core::formats::diff::{Difference, Uncompared, compare_adapters, compare_models};
use lorakeet_core::formats::peft::Adapter;
use lorakeet_core::formats::{ModelFiles, Storage};
use lorakeet_core::host::{Control, Emit};
use lorakeet_core::protocol::{Command, DeviceChoice, Event, ReadBack};
use lorakeet_core::session::{References, Session};
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
    /// as the run does; preferred answers are compared with `references` where there are some, else with what the model makes of them
    /// without the adapter, which is given back.
    ///
    /// # Errors
    /// The model cannot be read, or does not go together with the data.
    pub async fn loss(
        &self,
        model: &Path,
        as_run: bool,
        adapter: Option<&Path>,
        references: Option<&References>,
    ) -> Result<Option<(f64, References)>> {
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
        let config = Box::new(self.run.clone());
        ask(&mut session, Command::ReadAs { config }, Vec::new()).await?;
        let file = self.run.train_file.clone();
        ask(&mut session, Command::LoadData { file }, self.data.clone()).await?;
        if let Some(files) = &self.validation {
            let file = self.run.validation_file.clone();
            ask(&mut session, Command::LoadValidation { file }, files.clone()).await?;
        }
        let scored = session
            .evaluate_held_out_by(self.run, references, &mut |_, _| ())
            .await?;
        Ok(scored.map(|(scored, references)| (scored.loss, references)))
    }

    /// The loss of what was written to `folder`, on `base` where it is an adapter.
    ///
    /// # Errors
    /// As [`Scorer::loss`].
    pub async fn loss_of_export(
        &self,
        form: Form,
        (folder, base): (&Path, &Path),
        references: Option<&References>,
    ) -> Result<Option<f64>> {
        let file = folder.join(Form::GGUF_FILE);
        let (model, as_run, adapter) = match form {
            Form::Gguf => (file.as_path(), false, None),
            Form::Merged | Form::SentenceTransformers => (folder, false, None),
            Form::Peft | Form::GgufAdapter | Form::Mlx => (base, true, Some(folder)),
        };
        let scored = self.loss(model, as_run, adapter, references).await?;
        Ok(scored.map(|(loss, _)| loss))
    }
}

/// What was written of `trained` to `folder`, read back tensor by tensor.
///
/// # Errors
/// As [`lorakeet_core::export::read_back`].
pub async fn read_back(trained: Trained<'_>, settings: Settings, folder: &Path) -> Result<ReadBack> {
    let written = match settings.form {
        Form::Gguf => sources(&folder.join(Form::GGUF_FILE))?,
        _ => sources(folder)?,
    };
    let mut unheard = |_: Event, _: Option<Vec<u8>>| ();
    let emit = &mut Emit::new(&mut unheard, HOST, Control::default());
    lorakeet_core::export::read_back(trained, settings, written, emit).await
}

/// What `lorakeet quantize` wrote of a model's `files` to `folder` for bitsandbytes, read back tensor by tensor.
///
/// # Errors
/// As [`lorakeet_core::export::read_back_packed`].
pub async fn read_back_packed(files: &[Source], settings: PackedSettings, folder: &Path) -> Result<ReadBack> {
    let base = ModelFiles::open(files.to_vec()).await?;
    let mut unheard = |_: Event, _: Option<Vec<u8>>| ();
    let emit = &mut Emit::new(&mut unheard, HOST, Control::default());
    lorakeet_core::export::read_back_packed(base, settings, sources(folder)?, emit).await
}

/// The same in words.
pub fn read_back_text(found: &ReadBack) -> String {
    let count = found.tensors;
    let whole = match found.relative {
        Some(0.0) => ", each number as it was".to_owned(),
        Some(share) => format!(", ‖B−A‖/‖A‖ {share:.1e} over all"),
        None => String::new(),
    };
    let Some(worst) = found.worst.as_ref().filter(|_| found.relative != Some(0.0)) else {
        return format!("read     {count} tensors back{whole}\n");
    };
    let (name, storage) = (&worst.name, &worst.storage);
    let (relative, expected) = (worst.relative, worst.expected);
    format!(
        "read     {count} tensors back{whole}\n         the furthest from what was meant {name}: {relative:.1e} of its size, where \
         {storage} rounds up to {expected:.1e}\n"
    )
}

/// Why a loss of such an export cannot be compared with the run's: of preferences, where every weight was trained, what the run started
/// from is gone.
pub fn not_comparable(task: Option<Task>, has_adapter: bool) -> Option<Message> {
    (!has_adapter && task == Some(Task::Preference)).then(|| msg::ComparesWithBase.into())
}

/// How far what was written to `folder` lies from what it was made of: an adapter, else the model `base`. What is written stays,
/// whatever hinders the comparison.
pub async fn compare(form: Form, base: &Path, adapter: Option<&Adapter>, folder: &Path) -> Option<Difference> {
    match difference(form, base, adapter, folder).await {
        Ok(found) => Some(found),
        Err(error) => {
            let why = error.message();
            say_note(msg::NotCompared { why });
            None
        }
    }
}

async fn difference(form: Form, base: &Path, adapter: Option<&Adapter>, folder: &Path) -> Result<Difference> {
    let files = ModelFiles::open(sources(base)?).await?;
    if let Some(adapter) = adapter {
        let written = files.open_adapter(sources(folder)?).await?;
        return compare_adapters(&AdapterModules::of_peft(adapter)?, &AdapterModules::of_peft(&written)?);
    }
    let path = match form {
        Form::Gguf => folder.join(Form::GGUF_FILE),
        _ => folder.to_path_buf(),
    };
    compare_models(&files, &ModelFiles::open(sources(&path)?).await?).await
}

/// The same in words.
pub fn compared_text(found: &Difference) -> String {
    let count = found.tensors.len();
    let share = match found.total().relative() {
        Some(0.0) => format!("the numbers of all {count} parts that both have are the same"),
        Some(share) => format!("‖B−A‖/‖A‖ {share:.4e} over {count} parts; lorakeet diff shows each"),
        None => format!("{count} parts, all of which were 0"),
    };
    let is_same = |why: &Uncompared| matches!(why, Uncompared::NoFloats { same: true, .. });
    let apart = found.uncompared.iter().filter(|(_, why)| !is_same(why)).count();
    let alone = found.only_a.len() + found.only_b.len() + apart;
    let alone = match alone {
        0 => String::new(),
        alone => format!("; {alone} are in one of them alone, or stored as another kind"),
    };
    format!("compared {share}{alone}\n")
}

/// Whether a model's files have matrices of few bits: in ggml's blocks, or as bitsandbytes packs them.
pub async fn holds_blocks(model: &Path) -> Result<bool> {
    let files = ModelFiles::open(sources(model)?).await?;
    let mut entries = files.entries().iter();
    Ok(entries.any(|entry| has_few_bits(&entry.name, entry.storage)))
}

/// Whether a tensor has few bits, or belongs to one that bitsandbytes packed.
pub fn has_few_bits(name: &str, storage: Storage) -> bool {
    storage.block_elements() > 1 || name.contains(".quant_state.bitsandbytes__") || name.ends_with(".SCB")
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

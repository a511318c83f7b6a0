//! Files that a person looks into or compares, and adapters that no run here trained: put onto the loaded model and scored. Files are
//! read by their headers, and where they are compared a few megabytes at a time.

use super::Session;
use crate::error::{Error, Result};
use crate::formats::diff::{Difference, Uncompared};
use crate::formats::inspect::{AdapterFacts, Inspected, InspectedTensor, TensorGroup, inspect};
use crate::formats::read_json;
use crate::host::Emit;
use crate::loaded_model::loaded;
use crate::models::comparison::Side;
use crate::protocol::{
    AdapterOutline, ComparedFiles, Event, FileTensors, FilesCommand, FilesEvent, FormatShare, InspectedFiles,
    LoadedAdapter, OfModules, Stage, UncomparedTensor,
};
use crate::quant::BaseFormat;
use crate::store::Source;
use lorakeet_i18n::messages::formats as msg;
use serde_json::Value;

impl Session {
    pub(super) async fn serve_files(
        &mut self,
        command: FilesCommand,
        files: Vec<Source>,
        emit: &mut Emit<'_>,
    ) -> Result<()> {
        let is_stopped = self.control.stops_from_now_on();
        let served = match command {
            FilesCommand::Inspect => tell_what_they_are(&files, emit).await,
            FilesCommand::Compare { first } => self.compare(files, first, emit).await,
            FilesCommand::Adapter => self.put_adapter(files, emit).await,
            FilesCommand::Score { config } => self.score_loaded(&config, emit).await,
        };
        if is_stopped() {
            // It was meant for this.
            self.control.end_run();
        }
        served
    }

    async fn compare(&self, files: Vec<Source>, first: usize, emit: &mut Emit<'_>) -> Result<()> {
        let (a, b) = files.split_at(first.min(files.len()));
        let (mut one, mut other) = (Side::open(a.to_vec(), None).await?, Side::open(b.to_vec(), None).await?);
        if let (true, Some(model)) = (one.needs_base(&other), &self.model) {
            let base = Some(&model.files);
            (one, other) = (Side::open(a.to_vec(), base).await?, Side::open(b.to_vec(), base).await?);
        }
        let is_stopped = self.control.stops_from_now_on();
        let mut turn = async |done, total| {
            emit.progress(Stage::LoadModel, done, total);
            (emit.host.yield_now)().await;
            match is_stopped() {
                true => Err(Error::stopped(msg::StoppedComparing)),
                false => Ok(()),
            }
        };
        let (are_adapters, found) = one.compare(&other, &mut turn).await?;
        let compared = told(are_adapters, [a, b].map(names), found);
        emit.event(Event::Files(FilesEvent::Compared(Box::new(compared))));
        Ok(())
    }

    async fn put_adapter(&mut self, files: Vec<Source>, emit: &mut Emit<'_>) -> Result<()> {
        loaded(&self.model)?;
        let found = inspect(&files).await?;
        let facts = match found.adapter {
            Some(facts) => facts?,
            None => {
                let file = files.first().map(|file| file.name().to_owned()).unwrap_or_default();
                return Err(Error::model(msg::ModelNotAdapter).file(file).remedy(msg::ChooseAdapter));
            }
        };
        // What another adapter, its head or a full training left of the base is none.
        let model = loaded(&self.model)?;
        let (name, base) = (model.files.name.clone(), model.base);
        if model.full || model.model.has_adapter() || self.adapter.is_some() {
            self.load_again(name.clone(), base, emit).await?;
        }
        if let Err(error) = self.put_on(files.clone(), emit).await {
            // Half an adapter is none.
            self.load_again(name, base, emit).await?;
            return Err(error);
        }
        self.inputs.adapter = files;
        let head = loaded(&self.model)?.current_head()?;
        let task = head.task().filter(|task| task.has_head());
        let adapter = LoadedAdapter {
            kind: found.kind,
            files: found.read,
            outline: outline(facts),
            labels: task.and_then(|_| head.names(true)).unwrap_or_default(),
            head: task,
        };
        emit.event(Event::Files(FilesEvent::Adapter(Box::new(adapter))));
        Ok(())
    }

    /// The model as its files have it.
    pub(super) async fn load_again(&mut self, name: String, base: BaseFormat, emit: &mut Emit<'_>) -> Result<()> {
        let (files, origin) = (self.inputs.model.clone(), self.origin.take());
        self.load_model(name, base, files, emit).await?;
        self.origin = origin;
        Ok(())
    }
}

/// config.json among files, where it is there.
///
/// # Errors
/// It is too long, or not JSON.
pub(super) async fn config_among(files: &[Source]) -> Result<Option<Value>> {
    match files.iter().find(|file| file.name() == "config.json") {
        Some(file) => read_json(file.as_ref()).await.map(Some),
        None => Ok(None),
    }
}

async fn tell_what_they_are(files: &[Source], emit: &mut Emit<'_>) -> Result<()> {
    let found = describe(inspect(files).await?);
    emit.event(Event::Files(FilesEvent::Inspected(Box::new(found))));
    Ok(())
}

fn names(files: &[Source]) -> Vec<String> {
    files.iter().map(|file| file.name().to_owned()).collect()
}

fn describe(found: Inspected) -> InspectedFiles {
    let formats = found.formats().into_iter();
    let format = |(format, (tensors, elements, bytes)): (&str, (usize, u64, u64))| FormatShare {
        format: format.to_owned(),
        tensors,
        elements,
        bytes,
    };
    let group = |group: TensorGroup| FileTensors {
        name: group.name,
        count: group.count,
        shape: group.shape,
        format: group.storage.name().to_owned(),
        bytes: group.bytes,
    };
    let tensor = |tensor: &InspectedTensor| FileTensors {
        name: tensor.name.clone(),
        count: 1,
        shape: tensor.shape.clone(),
        format: tensor.storage.name().to_owned(),
        bytes: tensor.bytes,
    };
    let (formats, facts, parameters) = (formats.map(format).collect(), found.facts(), found.parameters());
    let groups = found.groups().into_iter().map(group).collect();
    let (adapter, problem) = match found.adapter {
        None => (None, None),
        Some(Ok(facts)) => (Some(outline(facts)), None),
        Some(Err(error)) => (None, Some(error)),
    };
    InspectedFiles {
        kind: found.kind,
        architecture: found.architecture,
        parameters,
        formats,
        adapter,
        problem,
        facts,
        groups,
        tensors: found.tensors.iter().map(tensor).collect(),
        read: found.read,
        others: found.others,
    }
}

fn outline(facts: AdapterFacts) -> AdapterOutline {
    let of = |(value, modules): (String, usize)| OfModules { value, modules };
    let numbers = |pairs: Vec<(f64, usize)>| -> Vec<OfModules> {
        let pairs = pairs
            .into_iter()
            .map(|(value, modules)| of((value.to_string(), modules)));
        pairs.collect()
    };
    let ranks = facts.ranks.into_iter();
    AdapterOutline {
        modules: facts.modules,
        ranks: ranks.map(|(rank, modules)| of((rank.to_string(), modules))).collect(),
        alphas: numbers(facts.alphas),
        scales: numbers(facts.scales),
        targets: facts.targets,
        has_magnitudes: facts.has_magnitudes,
        whole: facts.whole,
        base: facts.base,
    }
}

fn told(are_adapters: bool, files: [Vec<String>; 2], found: Difference) -> ComparedFiles {
    let (is_same, total) = (found.is_none(), found.total());
    let uncompared = |(name, why): (String, Uncompared)| match why {
        Uncompared::Shapes(shapes) => UncomparedTensor {
            name,
            shapes: Some(shapes),
            format: None,
            is_same: false,
        },
        Uncompared::NoFloats { storage, same } => UncomparedTensor {
            name,
            shapes: None,
            format: Some(storage.name().to_owned()),
            is_same: same,
        },
    };
    ComparedFiles {
        are_adapters,
        files,
        is_same,
        total,
        layers: found.layers,
        tensors: found.tensors,
        only_a: found.only_a,
        only_b: found.only_b,
        uncompared: found.uncompared.into_iter().map(uncompared).collect(),
    }
}

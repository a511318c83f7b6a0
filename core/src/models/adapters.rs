//! What is trained on a frozen model: adapters attached, removed, loaded and saved, and the modules that PEFT saves whole
//! (`modules_to_save`).

use super::body::Body;
use super::head::{HEADS, Head};
use super::linear::copy_matrix;
use super::lora::{Lora, Place};
use super::skeleton::suffixes;
use super::token_rows::{Tables, TokenRows, TokenTarget};
use super::{HeadKind, Model, Parameters, read_all};
use crate::config::TargetModules;
use crate::error::{Error, Result};
use crate::formats::peft::{Adapter, AdapterConfig, ChosenModule, check_names, chosen_modules, key_a};
use crate::random::Generator;
use burn::tensor::{Tensor, TensorData};
use lorakeet_i18n::{Field, messages::models as msg};
use std::collections::HashMap;

impl Model {
    /// Attaches fresh adapters to the modules that `config` chooses: of linears A uniform in ±1/√in, B zero. Earlier adapters
    /// are dropped.
    ///
    /// A classifier's head is trained whole, as PEFT does by the names `classifier` and `score`.
    ///
    /// # Errors
    /// No linear matches, or the model is in full training.
    pub fn attach_lora(&mut self, config: &AdapterConfig, seed: u64) -> Result<()> {
        self.detach_lora()?;
        let config = &with_head(self.task, &self.head, config);
        check_modules(self.body.as_ref(), &self.head, config)?;
        let chosen = chosen_modules(&adaptable(self.body.as_ref(), &self.head, config), config)?;
        let token_targets = token_targets(self.body.as_ref(), &self.head, (config, &chosen))?;
        let chosen: HashMap<&str, &ChosenModule> = chosen.iter().map(|module| (module.path.as_str(), module)).collect();
        let mut generator = Generator::new(seed, "init");
        let in_head = self.head.linears().len();
        let mut linears = self.body.linears_mut();
        linears.extend(self.head.linears_mut());
        let body = linears.len() - in_head;
        let device = &self.device;
        let mut fresh = |place: Place<'_>, module: &ChosenModule, parameters: &mut Parameters| {
            Lora::fresh(place, module, config, &mut generator, parameters, device)
        };
        for (i, linear) in linears.into_iter().enumerate() {
            if has_trained_copy(&linear.path, i >= body, config) {
                linear.copy_whole(&mut self.parameters);
            } else if let Some(module) = chosen.get(linear.path.as_str()) {
                linear.lora = Some(fresh(Place::from(&*linear), module, &mut self.parameters)?);
            }
        }
        for table in self.body.embeddings_mut() {
            if has_trained_copy(&table.path, false, config) {
                table.whole = Some(copy_matrix(&table.matrix, &table.path, &mut self.parameters));
            } else if let Some(module) = chosen.get(table.path.as_str()) {
                table.lora = Some(fresh(Place::from(&*table), module, &mut self.parameters)?);
            }
        }
        self.train_rows(&token_targets);
        if has_output(&self.head) && has_trained_copy(OUTPUT, false, config) {
            self.trained_output = Some(copy_matrix(self.body.lm_head(), OUTPUT, &mut self.parameters));
        }
        self.adapter = Some(config.clone());
        Ok(())
    }

    /// Trains the rows of `targets`; an output matrix that is the embedding has them, too.
    fn train_rows(&mut self, targets: &[TokenTarget]) {
        let is_tied = tables(self.body.as_ref(), &self.head).is_tied;
        let mut of_tokens = None;
        for (i, table) in self.body.embeddings_mut().into_iter().enumerate() {
            if let Some(target) = targets.iter().find(|target| target.path == table.path) {
                let rows = TokenRows::fresh(&table.matrix, target, &mut self.parameters, &self.device);
                of_tokens = of_tokens.or((i == 0 && is_tied).then(|| rows.clone()));
                table.rows = Some(rows);
            }
        }
        let own = targets.iter().find(|target| target.path == OUTPUT);
        self.output_rows = match own {
            Some(target) => {
                let rows = TokenRows::fresh(self.body.lm_head(), target, &mut self.parameters, &self.device);
                Some(rows)
            }
            None => of_tokens,
        };
    }

    /// Checks that every name in the settings of a run matches a module of this model; see [`check_names`].
    ///
    /// # Errors
    /// The first that does not.
    pub fn check_adapter_names(&self, config: &AdapterConfig) -> Result<()> {
        check_adapter_names(self.task, self.body.as_ref(), &self.head, config)
    }

    /// Removes the adapters.
    ///
    /// # Errors
    /// The model is in full training.
    pub fn detach_lora(&mut self) -> Result<()> {
        if self.adapter.is_none() && !self.parameters.is_empty() {
            return Err(Error::config(msg::FullTrainingTakesNoAdapter).field("finetuning_type"));
        }
        self.parameters = Parameters::default();
        self.adapter = None;
        for linear in self.body.linears_mut().into_iter().chain(self.head.linears_mut()) {
            linear.lora = None;
            linear.whole = None;
        }
        for table in self.body.embeddings_mut() {
            table.lora = None;
            table.whole = None;
            table.rows = None;
        }
        self.trained_output = None;
        self.output_rows = None;
        Ok(())
    }

    /// Checks that the adapter has the matrices that its settings name, before any of that size are allocated.
    fn check_ranks(&self, adapter: &Adapter) -> Result<()> {
        let config = &with_head(self.task, &self.head, &adapter.config);
        let tables = self.body.embeddings();
        let shapes: HashMap<&str, &[usize]> = adapter
            .tensors
            .iter()
            .map(|(name, shape, _)| (name.as_str(), &shape[..]))
            .collect();
        let saved = |path: &str| has_trained_copy(path, false, config);
        for module in chosen_modules(&adaptable(self.body.as_ref(), &self.head, config), config)? {
            let path = module.path.as_str();
            // A head's parts that are saved whole are checked once they are attached.
            if saved(path) || self.head.linears().iter().any(|linear| linear.path == path) {
                continue;
            }
            let key = match tables.iter().any(|table| table.path == path) {
                true => format!("base_model.model.{path}.lora_embedding_A"),
                false => key_a(path),
            };
            let Some(shape) = shapes.get(key.as_str()) else {
                return Err(lacks(&key));
            };
            if shape.first() != Some(&module.r) {
                let what = msg::OtherRank {
                    shape: format!("{shape:?}"),
                    module: path,
                    rank: module.r,
                };
                return Err(Error::format(what).field(key).remedy(msg::IsItOfThisModel));
            }
        }
        Ok(())
    }

    /// Attaches a saved adapter.
    ///
    /// # Errors
    /// A tensor is missing, left over or misshapen for this model.
    pub fn load_adapter(&mut self, adapter: &Adapter) -> Result<()> {
        self.check_ranks(adapter)?;
        self.attach_lora(&adapter.config, 0)?;
        for i in 0..self.parameters.len() {
            let parameter = &self.parameters.all[i];
            let tensor = adapter.tensors.iter().find(|(name, ..)| *name == parameter.name);
            let Some((name, shape, values)) = tensor else {
                return Err(lacks(&parameter.name));
            };
            if *shape != parameter.shape {
                let what = msg::OtherShape {
                    shape: format!("{shape:?}"),
                    needed: format!("{:?}", parameter.shape),
                };
                return Err(Error::format(what).field(name).remedy(msg::IsItOfThisModel));
            }
            let value = Tensor::from_data(TensorData::new(values.clone(), [values.len()]), &self.device);
            self.parameters.set(i, value);
        }
        // PEFT writes the base's embedding beside the adapter on it; it is the one that is loaded already.
        let is_base = |name: &str| {
            let path = name.strip_prefix("base_model.model.").unwrap_or(name);
            let path = path.strip_suffix(".base_layer.weight");
            let mut tables = self.body.embeddings().into_iter();
            tables.any(|table| table.lora.is_some() && Some(table.path.as_str()) == path)
        };
        let known = |name: &String| is_base(name) || self.parameters.iter().any(|parameter| parameter.name == *name);
        if let Some((name, ..)) = adapter.tensors.iter().find(|(name, ..)| !known(name)) {
            let error = Error::format(msg::NoPlaceForTensor).field(name);
            return Err(error.remedy(msg::OnlyLoraIsRead));
        }
        Ok(())
    }

    /// The adapter as PEFT stores it.
    ///
    /// # Errors
    /// There is none, or the device failed.
    pub async fn adapter(&self) -> Result<Adapter> {
        let config = self.adapter.clone().ok_or_else(|| Error::config(msg::NoAdapter))?;
        Ok(Adapter {
            config,
            tensors: self.trained().await?,
        })
    }

    /// The same with zeros for its numbers, which have to come from the device.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn adapter_of_zeros(&self) -> Result<Adapter> {
        let config = self.adapter.clone().ok_or_else(|| Error::config(msg::NoAdapter))?;
        let tensors = self.parameters.iter().map(|parameter| {
            let count = parameter.shape.iter().product();
            (parameter.name.clone(), parameter.shape.clone(), vec![0.0; count])
        });
        Ok(Adapter {
            config,
            tensors: tensors.collect(),
        })
    }

    /// Name, shape and values of everything trained.
    ///
    /// # Errors
    /// The device failed.
    pub async fn trained(&self) -> Result<Vec<(String, Vec<usize>, Vec<f32>)>> {
        let values = read_all(self.parameters.iter().map(|parameter| parameter.value.clone())).await?;
        let named = self.parameters.iter().zip(values);
        Ok(named
            .map(|(parameter, values)| (parameter.name.clone(), parameter.shape.clone(), values))
            .collect())
    }
}

/// [`Model::check_adapter_names`] of a model's parts.
pub(super) fn check_adapter_names(task: HeadKind, body: &dyn Body, head: &Head, config: &AdapterConfig) -> Result<()> {
    let config = &with_head(task, head, config);
    check_modules(body, head, config)?;
    check_names(&adaptable(body, head, config), config)?;
    let chosen = chosen_modules(&adaptable(body, head, config), config)?;
    token_targets(body, head, (config, &chosen)).map(drop)
}

/// What rows can be trained of: the embeddings and the output matrix.
fn tables<'a>(body: &'a dyn Body, head: &Head) -> Tables<'a> {
    let embeddings = body.embeddings();
    let is_vocabulary = has_output(head);
    Tables {
        is_tied: is_vocabulary && is_tied(body),
        is_masked: matches!(head, Head::MaskedLm(head) if head.weight.is_none()),
        output: is_vocabulary.then(|| body.lm_head().rows),
        tables: embeddings
            .into_iter()
            .map(|table| (table.path.as_str(), table.matrix.rows))
            .collect(),
    }
}

/// Whether the output matrix is the embedding of the tokens.
pub(super) fn is_tied(body: &dyn Body) -> bool {
    let embeddings = body.embeddings();
    let of_tokens = embeddings.first().map(|table| &table.matrix);
    of_tokens.is_some_and(|table| std::ptr::eq(table, body.lm_head()))
}

/// The tables that rows are trained of, where others than the `chosen` modules are.
pub(super) fn token_targets(
    body: &dyn Body,
    head: &Head,
    (config, chosen): (&AdapterConfig, &[ChosenModule]),
) -> Result<Vec<TokenTarget>> {
    let is_taken =
        |path: &str| has_trained_copy(path, false, config) || chosen.iter().any(|module| module.path == path);
    tables(body, head).targets(config, is_taken)
}

/// The paths of the modules that can have an adapter.
pub(super) fn adaptable<'a>(body: &'a dyn Body, head: &'a Head, config: &AdapterConfig) -> Vec<&'a str> {
    let linears = body.linears().into_iter().chain(head.linears());
    let mut paths: Vec<&str> = linears.map(|linear| linear.path.as_str()).collect();
    // all-linear means linears; names and patterns may mean embeddings too.
    if !config.target_modules.is_all_linear() {
        paths.extend(body.embeddings().iter().map(|table| table.path.as_str()));
    }
    paths
}

/// Whether there is an output matrix that can be trained beside an adapter.
fn has_output(head: &Head) -> bool {
    matches!(head, Head::Vocabulary)
}

/// Refuses names of modules that this model does not have.
fn check_modules(body: &dyn Body, head: &Head, config: &AdapterConfig) -> Result<()> {
    if let TargetModules::Names(names) = &config.target_modules
        && names.iter().any(|name| name == OUTPUT)
    {
        let error = Error::config(msg::NoLoraOnOutput).field("target_modules");
        return Err(error.remedy(msg::SaveOutputWhole));
    }
    let linears = body.linears().into_iter().map(|linear| &linear.path);
    let tables = body.embeddings().into_iter().map(|table| &table.path);
    let output = has_output(head).then_some(OUTPUT);
    let parts_of_body: Vec<&str> = linears.chain(tables).map(String::as_str).chain(output).collect();
    let parts = head.linears();
    for name in config.modules_to_save.as_deref().unwrap_or_default() {
        let found = parts_of_body.iter().any(|path| path.ends_with(name.as_str()))
            || parts
                .iter()
                .any(|linear| prefixes(&linear.path).any(|path| path.ends_with(name.as_str())));
        // PEFT saves the head of every classifier whole by both names, whichever it has.
        if !found && !HEADS.contains(&name.as_str()) {
            let what = msg::NoSuchModule {
                name: format!("{name:?}"),
            };
            let names = Field::list(suffixes(&parts_of_body));
            return Err(Error::config(what)
                .field("modules_to_save")
                .remedy(msg::ModelHas { names }));
        }
    }
    Ok(())
}

fn lacks(name: &str) -> Error {
    Error::format(msg::AdapterLacksTensor)
        .field(name)
        .remedy(msg::IsItOfThisModel)
}

/// The module of a decoder's output matrix.
pub(super) const OUTPUT: &str = "lm_head";

/// `config` with what PEFT adds for a classifier: its task type and the head among the modules saved whole.
pub(super) fn with_head(task: HeadKind, head: &Head, config: &AdapterConfig) -> AdapterConfig {
    let mut config = config.clone();
    let task_type = match task {
        HeadKind::SequenceClassification => "SEQ_CLS",
        HeadKind::TokenClassification => "TOKEN_CLS",
        HeadKind::Seq2SeqLm => "SEQ_2_SEQ_LM",
        HeadKind::Features => "FEATURE_EXTRACTION",
        HeadKind::CausalLm | HeadKind::MaskedLm => return config,
    };
    config.task_type = Some(task_type.into());
    if !matches!(head, Head::Classifier(_)) {
        return config;
    }
    let saved = config.modules_to_save.get_or_insert_default();
    let mut names = HEADS.map(str::to_owned).to_vec();
    // Fresh weights of the head are not in the checkpoint, so they are saved with the adapter.
    if let Head::Classifier(head) = head
        && let (true, Some(dense)) = (head.fresh_dense, &head.dense)
    {
        let path = &dense.linear.path;
        let short = path
            .rmatch_indices('.')
            .nth(1)
            .map_or(path.as_str(), |(dot, _)| &path[dot + 1..]);
        names.push(short.to_owned());
    }
    for name in names {
        if !saved.contains(&name) {
            saved.push(name);
        }
    }
    config
}

/// PEFT's test for `modules_to_save`: the name of the module, or of a head that it is part of, ends with a name of the list
/// (DistilBERT's pre_classifier does end with classifier).
pub(crate) fn has_trained_copy(path: &str, in_head: bool, config: &AdapterConfig) -> bool {
    let saved = config.modules_to_save.as_deref().unwrap_or_default();
    let is_saved = |module: &str| saved.iter().any(|name| module.ends_with(name.as_str()));
    // Of a head all parts are linears. A whole layer has norms too, which are not trained beside an adapter.
    is_saved(path) || in_head && prefixes(path).any(is_saved)
}

/// The modules that a path goes through, itself included.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    let dots = path.match_indices('.').map(|(place, _)| &path[..place]);
    dots.chain([path])
}

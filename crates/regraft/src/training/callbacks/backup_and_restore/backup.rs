//! What a backup of training holds, and its file: tensors and one entry of JSON in the header.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use regraft_io::{Checkpoint, Format, SavedWeight};
use regraft_layers::{Freezing, Model as Network, Place, Selector};
use regraft_optimizers::{ParameterInfo, State};
use regraft_tensor::{Detail, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{CallbackState, Context};
use crate::{Error, History, Result};

/// The entry of the file's header.
const ENTRY: &str = "regraft_backup";
const WEIGHTS: &str = "weights/";
const MEMORY: &str = "memory/";
const CALLBACKS: &str = "callbacks/";

/// Everything that training goes on from.
#[derive(Debug)]
pub(super) struct Backup {
    facts: Facts,
    weights: Vec<(String, Tensor)>,
    /// The optimizer's variables, in the order of its state.
    memory: Vec<Tensor>,
    /// What each callback remembers.
    callbacks: BTreeMap<String, CallbackState>,
}

/// What is not a tensor. Real numbers are stored as their bits, so that they come back the same.
#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    next_epoch: usize,
    seed: u64,
    steps_per_epoch: usize,
    optimizer: String,
    iteration: u64,
    learning_rate: Option<u32>,
    parameters: Vec<Parameter>,
    /// How often each parameter has been updated.
    updates: Vec<u64>,
    /// The adapters that count.
    #[serde(default)]
    adapters: Option<Vec<String>>,
    /// The state of each layer, by its path.
    freezing: BTreeMap<String, String>,
    /// The weights that were frozen or unfrozen alone, by layer and name.
    #[serde(default)]
    alone: BTreeMap<String, BTreeMap<String, bool>>,
    /// The epochs with names and values.
    history: Vec<(usize, Vec<(String, u64)>)>,
    /// Whether training was to end after the last epoch.
    stopped: bool,
    /// What each callback remembers, but for its tensors.
    callbacks: BTreeMap<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Parameter {
    path: String,
    id: u64,
    shape: Vec<usize>,
    learning_rate_scale: u32,
    #[serde(default)]
    weight_decay: Option<u32>,
}

/// An error while adapters are merged: the weights would be taken for those of the base.
fn refuse_merged(model: &Network) -> Result<()> {
    match model.is_merged() {
        false => Ok(()),
        true => {
            let expected = "a model whose adapters are not merged, to back up training";
            let detail = Detail::new(model.name(), expected, "one whose are");
            Err(Error::Model(detail.help("call `unmerge_adapter` first")))
        }
    }
}

impl Backup {
    /// The state of training before `next_epoch`.
    pub fn of(next_epoch: usize, context: &Context<'_>, history: &History) -> Result<Self> {
        refuse_merged(&context.model.network)?;
        let optimizer = context.optimizer()?;
        let parameters = optimizer.parameters();
        let state = optimizer.state(&parameters);
        let values = |epoch: usize| {
            let value = |name: &str| history.points(name).find(|(at, _)| *at == epoch);
            let names = history.names();
            names
                .filter_map(|name| Some((name.to_string(), value(name)?.1.to_bits())))
                .collect()
        };
        let facts = Facts {
            next_epoch,
            seed: context.seed,
            steps_per_epoch: context.steps_per_epoch,
            optimizer: optimizer.name().to_string(),
            iteration: state.iteration,
            learning_rate: state.learning_rate.map(f32::to_bits),
            parameters: parameters
                .into_iter()
                .map(|parameter| Parameter {
                    path: parameter.path,
                    id: parameter.id,
                    shape: parameter.shape,
                    learning_rate_scale: parameter.learning_rate_scale.to_bits(),
                    weight_decay: parameter.weight_decay.map(f32::to_bits),
                })
                .collect(),
            updates: state.updates,
            adapters: Some(context.model.network.active_adapters()),
            freezing: layers(&context.model.network)
                .map(|place| (place.path, place.freezing.to_string()))
                .collect(),
            alone: layers(&context.model.network)
                .filter(|place| !place.alone.is_empty())
                .map(|place| (place.path, place.alone.clone()))
                .collect(),
            history: history
                .epochs()
                .iter()
                .map(|&epoch| (epoch, values(epoch)))
                .collect(),
            stopped: context.stops(),
            callbacks: context
                .states()
                .iter()
                .map(|(name, state)| (name.clone(), state.facts()))
                .collect(),
        };
        let weights = context.model.weights().iter();
        Ok(Backup {
            facts,
            weights: weights
                .map(|weight| (weight.path().to_string(), weight.value().clone()))
                .collect(),
            memory: state
                .variables
                .into_iter()
                .map(|(_, value)| value)
                .collect(),
            callbacks: context.states().clone(),
        })
    }

    /// Writes the whole file, or leaves the one that is there.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut checkpoint = Checkpoint::new(Format::Safetensors);
        let facts = serde_json::to_string(&self.facts)
            .map_err(|error| damaged(path, "what JSON can hold", &error))?;
        checkpoint.metadata.entries.insert(ENTRY.to_string(), facts);
        let tensor = |path: String, value: &Tensor| SavedWeight {
            path,
            name: None,
            tensor: value.clone().into(),
        };
        let weights = self.weights.iter();
        let memory = self.memory.iter().enumerate();
        checkpoint.extra = weights
            .map(|(path, value)| tensor(format!("{WEIGHTS}{path}"), value))
            .chain(memory.map(|(index, value)| tensor(format!("{MEMORY}{index}"), value)))
            .chain(self.callbacks.iter().flat_map(|(name, state)| {
                let of_state = state.tensors();
                of_state.map(move |(key, value)| tensor(format!("{CALLBACKS}{name}/{key}"), value))
            }))
            .collect();
        Ok(regraft_io::safetensors::write(path, &checkpoint)?)
    }

    /// Reads a file that [`write`](Self::write) has written.
    pub fn read(path: &Path) -> Result<Self> {
        let checkpoint = regraft_io::safetensors::read(path)?;
        let facts = checkpoint.metadata.entries.get(ENTRY);
        let facts = facts.ok_or_else(|| damaged(path, "a backup of training", &"another file"))?;
        let facts: Facts = serde_json::from_str(facts)
            .map_err(|error| damaged(path, "a backup of training", &error))?;
        let mut weights = Vec::new();
        let mut memory = BTreeMap::new();
        let mut kept: BTreeMap<String, BTreeMap<String, Tensor>> = BTreeMap::new();
        for (_, saved) in checkpoint.tensors() {
            if let Some(name) = saved.path.strip_prefix(WEIGHTS) {
                weights.push((name.to_string(), saved.tensor.to_tensor()?));
            } else if let Some(index) = saved.path.strip_prefix(MEMORY) {
                let index: usize = index
                    .parse()
                    .map_err(|error| damaged(path, "numbered variables", &error))?;
                memory.insert(index, saved.tensor.to_tensor()?);
            } else if let Some(path) = saved.path.strip_prefix(CALLBACKS) {
                let (name, key) = path.split_once('/').ok_or_else(|| {
                    damaged(path.as_ref(), "the tensor of a callback", &"another")
                })?;
                let tensors = kept.entry(name.to_string()).or_default();
                tensors.insert(key.to_string(), saved.tensor.to_tensor()?);
            }
        }
        let mut callbacks = BTreeMap::new();
        for (name, saved) in &facts.callbacks {
            let tensors = kept.remove(name).unwrap_or_default();
            let state = CallbackState::from_facts(saved, tensors);
            let wrong = || damaged(path, "the state of a callback", &saved);
            callbacks.insert(name.clone(), state.ok_or_else(wrong)?);
        }
        Ok(Backup {
            facts,
            callbacks,
            weights,
            memory: memory.into_values().collect(),
        })
    }

    /// Puts training back to where it was and returns the epoch to go on with. Nothing is changed
    /// until everything is known to fit.
    pub fn restore(
        self,
        path: &Path,
        context: &mut Context<'_>,
        history: &mut History,
    ) -> Result<usize> {
        let facts = &self.facts;
        refuse_merged(&context.model.network)?;
        let same = |what: &str, ours: String, theirs: String| match ours == theirs {
            true => Ok(()),
            false => Err(other_run(path, &format!("{what} {ours}"), &theirs)),
        };
        let seed = context.seed.to_string();
        same("seed", seed, facts.seed.to_string())?;
        let steps = context.steps_per_epoch.to_string();
        same("steps per epoch", steps, facts.steps_per_epoch.to_string())?;
        let optimizer = context.optimizer()?.name().to_string();
        same("optimizer", optimizer, facts.optimizer.clone())?;

        let mut values: HashMap<&str, &Tensor> = self
            .weights
            .iter()
            .map(|(path, value)| (path.as_str(), value))
            .collect();
        let mut weights = Vec::new();
        for weight in context.model.weights().iter() {
            let found = values.remove(weight.path());
            match found.filter(|found| found.shape() == weight.value().shape()) {
                Some(value) => weights.push((weight.id(), value.clone())),
                None => {
                    let shape = weight.value().shape();
                    let expected = format!("{} of shape {shape:?}", weight.path());
                    let received = found.map(|found| format!("shape {:?}", found.shape()));
                    let received = received.unwrap_or("no such weight".to_string());
                    return Err(other_run(path, &expected, &received));
                }
            }
        }
        if let Some(name) = values.keys().min() {
            return Err(other_run(path, "the weights of the model alone", name));
        }
        self.freezing(path, &context.model.network)?;
        let mut optimizer = context.optimizer()?.clone();
        optimizer.restore(&self.parameters(&context.model.network), &self.state())?;

        if let Some(adapters) = &facts.adapters {
            // Which say what state layers have that they are trained as a whole with.
            let adapters: Vec<&str> = adapters.iter().map(String::as_str).collect();
            context.model.set_adapters(&adapters)?;
        }
        *context.optimizer_mut()? = optimizer;
        for (freezing, paths) in self.freezing(path, &context.model.network)? {
            let alone = paths
                .iter()
                .filter_map(|path| facts.alone.get_key_value(path));
            let alone: Vec<_> = alone.collect();
            let picked = Selector::when(move |layer| paths.contains(layer.path()));
            // A layer whose statistics move is told to stop only by freezing it first.
            context
                .model
                .set_freezing(picked.clone(), Freezing::Frozen)?;
            context.model.set_freezing(picked, freezing)?;
            for (layer, weights) in alone {
                for (name, trained) in weights {
                    let weight = Selector::weights(format!("{layer}/{name}"));
                    match trained {
                        true => context.model.unfreeze(weight)?,
                        false => context.model.freeze(weight)?,
                    }
                }
            }
        }
        // Counts as a change of the model, so that training compiles everything anew.
        context.model.set_weights(weights)?;
        let mut restored = History::new(history.params());
        for (epoch, values) in &facts.history {
            let values = values.iter();
            restored.push_epoch(
                *epoch,
                values.map(|(name, bits)| (name, f64::from_bits(*bits))),
            );
        }
        *history = restored;
        let epoch = facts.next_epoch;
        if facts.stopped {
            context.stop();
        }
        context.resume_with(self.callbacks);
        Ok(epoch)
    }

    /// The layers whose state differs from the model's now, by the state they shall have.
    fn freezing(&self, path: &Path, model: &Network) -> Result<Vec<(Freezing, BTreeSet<String>)>> {
        const STATES: [Freezing; 4] = [
            Freezing::Trainable,
            Freezing::FrozenStatistics,
            Freezing::FrozenParams,
            Freezing::Frozen,
        ];
        let mut changed = STATES.map(|state| (state, BTreeSet::new()));
        for place in layers(model) {
            let layer = place.path;
            let saved = self.facts.freezing.get(&layer);
            let state =
                saved.and_then(|saved| STATES.iter().position(|state| state.to_string() == *saved));
            let Some(state) = state else {
                let received = saved.map_or("no such layer", String::as_str);
                return Err(other_run(
                    path,
                    &format!("the state of layer {layer}"),
                    received,
                ));
            };
            let alone = self.facts.alone.get(&layer);
            let same = alone.map_or(place.alone.is_empty(), |alone| alone == place.alone);
            if STATES[state] != place.freezing || !same {
                changed[state].1.insert(layer);
            }
        }
        let changed = changed.into_iter().filter(|(_, layers)| !layers.is_empty());
        Ok(changed.collect())
    }

    /// The parameters that the optimizer had met, known by the ids that they have in this process.
    fn parameters(&self, model: &Network) -> Vec<ParameterInfo> {
        let parameters = self.facts.parameters.iter();
        parameters
            .map(|parameter| {
                let mut weights = model.weights().iter();
                let weight = weights.find(|weight| weight.path() == parameter.path);
                ParameterInfo {
                    weight_decay: parameter.weight_decay.map(f32::from_bits),
                    ..ParameterInfo::new(parameter.path.clone(), &parameter.shape)
                        .id(weight.map_or(parameter.id, |weight| weight.id().0 as u64))
                        .learning_rate_scale(f32::from_bits(parameter.learning_rate_scale))
                }
            })
            .collect()
    }

    fn state(&self) -> State {
        let variables = self.memory.iter().enumerate();
        State {
            iteration: self.facts.iteration,
            learning_rate: self.facts.learning_rate.map(f32::from_bits),
            variables: variables
                .map(|(index, value)| (index.to_string(), value.clone()))
                .collect(),
            updates: self.facts.updates.clone(),
        }
    }
}

/// Every layer. Models used as layers are left out: picking one picks its layers.
fn layers(model: &Network) -> impl Iterator<Item = Place<'_>> {
    model.places().into_iter().filter(|place| !place.is_model)
}

fn damaged(path: &Path, expected: &str, received: &dyn std::fmt::Display) -> Error {
    let detail = Detail::new(path.display().to_string(), expected, received);
    Error::File(detail.help("delete it to begin anew"))
}

fn other_run(path: &Path, expected: &str, received: &str) -> Error {
    let detail = Detail::new(path.display().to_string(), expected, received);
    Error::File(detail.help(
        "the backup is of another training run: call `fit` as before, or delete it to begin anew",
    ))
}

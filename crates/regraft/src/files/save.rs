//! Saving: weights alone or the whole model, in each format that Keras reads, and safetensors.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use regraft_autograd::VariableId;
use regraft_io::{Checkpoint, Dialect, Format, SavedLayer, SavedWeight};
use regraft_layers::{IntoSelector, Model as Network, Weight, WeightKind};
use regraft_tensor::{Detail, Tensor};

use crate::files::keys::{CLASS_NAMES, OWN_METRICS, keyed_places};
use crate::files::optimizer_state;
use crate::training::named;
use crate::{Error, Model, Result};

/// Which weights are saved, if not all.
type Only<'a> = Option<&'a HashSet<VariableId>>;

/// The values of weights that active adapters change.
type Merged = HashMap<VariableId, Tensor>;

/// The version of Keras whose files these are.
const KERAS_VERSION: &str = "3.15.1";

impl Model {
    /// Saves the weights, with the optimizer's memory if the model is compiled. The ending says how:
    /// `.weights.h5`, `.h5` (legacy), `.safetensors`. What active adapters add is computed into the weights, as
    /// Keras does it ([`save_adapter`](Self::save_adapter) keeps them apart); the optimizer's memory is not
    /// saved with a model that has adapters. Either the whole file is written or the one
    /// that was there stays.
    ///
    /// # Errors
    /// An ending that is not known, and [`Error::Io`] if the file cannot be written.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<()> {
        self.write_weights(path.as_ref(), None)
    }

    fn write_weights(&self, path: &Path, only: Only<'_>) -> Result<()> {
        let name = path.to_string_lossy();
        match WeightsFile::of(&name)? {
            WeightsFile::Keras => {
                let checkpoint = self.checkpoint_of(Format::KERAS_3, only)?;
                Ok(regraft_io::keras_weights::write(path, &checkpoint)?)
            }
            WeightsFile::Legacy => {
                let checkpoint = self.checkpoint_of(Format::LegacyWeights, only)?;
                Ok(regraft_io::legacy_h5::write(path, &checkpoint)?)
            }
            WeightsFile::Safetensors => {
                let checkpoint = self.checkpoint_of(Format::Safetensors, only)?;
                Ok(regraft_io::safetensors::write(path, &checkpoint)?)
            }
        }
    }

    /// Saves the weights as `.weights.json` with shards of at most `max_shard_size` bytes.
    ///
    /// # Errors
    /// As [`save_weights`](Self::save_weights).
    pub fn save_sharded_weights(
        &self,
        path: impl AsRef<Path>,
        max_shard_size: usize,
    ) -> Result<()> {
        let path = path.as_ref();
        if !path.to_string_lossy().ends_with(".weights.json") {
            return Err(unknown_ending(&path.to_string_lossy(), "`.weights.json`"));
        }
        let checkpoint = self.checkpoint(Format::Sharded(Dialect::Named))?;
        Ok(regraft_io::sharded::write(
            path,
            &checkpoint,
            max_shard_size,
        )?)
    }

    /// Saves the weights that `selector` picks, without an optimizer's memory: what was trained of a large
    /// network, say. [`Load::only`](crate::Load::only) loads them into the rest. Whole layers go into every
    /// kind of file (`.weights.h5`, `.weights.json`, `.h5`, `.safetensors`), out of which Keras loads them, too
    /// (`skip_mismatch=True`, and `by_name=True` for `.h5`). Single weights of a layer go into `.safetensors`, which
    /// names them; the other kinds number the weights of a layer, and Keras skips a layer of which not all are there.
    ///
    /// ```no_run
    /// # fn main() -> regraft::Result<()> {
    /// # let mut model = regraft::Sequential::new(Vec::new())?;
    /// use regraft::{Load, Selector};
    ///
    /// model.save_weights_of(Selector::weights("bias"), "biases.safetensors")?;
    /// let _report = model.load_weights_with("biases.safetensors", Load::only(Selector::weights("bias")))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`save_weights`](Self::save_weights), and [`regraft_layers::Error::NoMatch`] if `selector` picks
    /// no weight.
    pub fn save_weights_of(
        &self,
        selector: impl IntoSelector,
        path: impl AsRef<Path>,
    ) -> Result<()> {
        let (model, path) = (&self.network, path.as_ref());
        let picked = model.select_weights(selector)?;
        let picked: HashSet<&str> = picked.iter().map(String::as_str).collect();
        let weights = model.weights().iter();
        let weights = weights.filter(|weight| picked.contains(weight.path()));
        let only: HashSet<VariableId> = weights.map(|weight| weight.id()).collect();
        let places = model.places();
        let in_part = places.iter().find(|place| {
            let saved = place.weights.iter().filter(|id| only.contains(id)).count();
            saved != 0 && saved != place.weights.len()
        });
        let name = path.to_string_lossy();
        if let (Some(place), false) = (in_part, name.ends_with(".safetensors")) {
            let expected = "a path that ends with `.safetensors` for single weights of a layer";
            let detail = Detail::new(&place.path, expected, &name);
            return Err(Error::File(detail.help("or pick the layer as a whole")));
        }
        match name.ends_with(".weights.json") {
            true => {
                let checkpoint =
                    self.checkpoint_of(Format::Sharded(Dialect::Named), Some(&only))?;
                Ok(regraft_io::sharded::write(path, &checkpoint, usize::MAX)?)
            }
            false => self.write_weights(path, Some(&only)),
        }
    }

    /// Saves the whole model: architecture, weights, and if compiled the optimizer with its memory,
    /// the loss and the metrics. The ending says how: `.keras`, or `.h5` (legacy). What active adapters add is
    /// computed into the weights; how a model with adapters was compiled is not saved.
    ///
    /// # Errors
    /// As [`save_weights`](Self::save_weights).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        match ModelFile::of(&path.to_string_lossy())? {
            ModelFile::Keras => {
                let checkpoint = self.checkpoint(Format::KerasArchive(Dialect::Named))?;
                Ok(regraft_io::keras_archive::write(path, &checkpoint)?)
            }
            ModelFile::Legacy => {
                let checkpoint = self.checkpoint(Format::LegacyModel)?;
                Ok(regraft_io::legacy_h5::write(path, &checkpoint)?)
            }
        }
    }

    /// What a file of this format holds of the model.
    ///
    /// # Errors
    /// If the model is not built.
    pub fn checkpoint(&self, format: Format) -> Result<Checkpoint> {
        self.checkpoint_of(format, None)
    }

    /// [`checkpoint`](Self::checkpoint), with some of the weights, and no memory of an optimizer then.
    fn checkpoint_of(&self, format: Format, only: Only<'_>) -> Result<Checkpoint> {
        let model = &self.network;
        if !model.is_built() {
            let detail = Detail::new(model.name(), "a model that is built", "one without weights");
            return Err(Error::Model(detail));
        }
        let mut checkpoint = Checkpoint::new(format);
        checkpoint.metadata.keras_version = Some(KERAS_VERSION.to_string());
        checkpoint.metadata.backend = Some("tensorflow".to_string());
        if let Some(names) = &self.class_names {
            let names = serde_json::json!(names).to_string();
            checkpoint
                .metadata
                .entries
                .insert(CLASS_NAMES.to_string(), names);
        }
        // Files of models have no place for adapters: they hold the sums, as Keras' do.
        let merged = model.merged_values()?;
        checkpoint.layers = match format {
            Format::LegacyModel | Format::LegacyWeights => legacy_layers(model, only, &merged),
            Format::Safetensors => container_layers(model, false, only, &merged),
            _ => container_layers(model, true, only, &merged),
        };
        if matches!(format, Format::KerasArchive(_) | Format::LegacyModel) {
            checkpoint.config = Some(model.to_config());
        }
        // The memory of what adapters train has no place either.
        let of_all = only.is_none() && model.adapters().is_empty();
        if let Some(compiled) = self.training.as_ref().filter(|_| of_all) {
            checkpoint.optimizer = match &compiled.unknown_optimizer {
                None => Some(optimizer_state::saved(model, &compiled.optimizer)),
                Some(unknown) => unknown.memory.clone(),
            };
            if let (Some(memory), Some(scaling)) =
                (&mut checkpoint.optimizer, &compiled.loss_scaling)
            {
                memory.loss_scale = scaling.memory();
            }
            let outputs = model.output_names().len();
            let mut config = match format {
                Format::KerasArchive(_) => Some(compiled.config(outputs)),
                Format::LegacyModel => Some(compiled.legacy_config(outputs)),
                _ => None,
            };
            if let (Some(config), true) = (&mut config, model.has_named_outputs()) {
                named::by_output_name(config, &model.output_names());
            }
            checkpoint.compile_config = config;
            if checkpoint.compile_config.is_some()
                && let Some(own) = compiled.own_metrics(outputs)
            {
                let entries = &mut checkpoint.metadata.entries;
                entries.insert(OWN_METRICS.to_string(), own.to_string());
            }
        }
        Ok(checkpoint)
    }
}

/// The kinds of file that weights alone are saved as.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WeightsFile {
    Keras,
    Legacy,
    Safetensors,
}

impl WeightsFile {
    /// What the ending of `name` asks for.
    pub fn of(name: &str) -> Result<Self> {
        match name {
            _ if name.ends_with(".weights.h5") => Ok(WeightsFile::Keras),
            _ if name.ends_with(".h5") || name.ends_with(".hdf5") => Ok(WeightsFile::Legacy),
            _ if name.ends_with(".safetensors") => Ok(WeightsFile::Safetensors),
            _ => Err(unknown_ending(
                name,
                "`.weights.h5`, `.h5` or `.safetensors`",
            )),
        }
    }
}

/// The kinds of file that whole models are saved as.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ModelFile {
    Keras,
    Legacy,
}

impl ModelFile {
    /// What the ending of `name` asks for.
    pub fn of(name: &str) -> Result<Self> {
        match name {
            _ if name.ends_with(".keras") => Ok(ModelFile::Keras),
            _ if name.ends_with(".h5") && !name.ends_with(".weights.h5") => Ok(ModelFile::Legacy),
            _ => Err(unknown_ending(
                name,
                "`.keras` or `.h5`; weights alone go with `save_weights`",
            )),
        }
    }
}

fn unknown_ending(name: &str, expected: &str) -> Error {
    Error::File(Detail::new(
        "save",
        format!("a path that ends with {expected}"),
        name,
    ))
}

/// A weight, if it is to be saved.
fn saved<'m>(model: &'m Network, id: VariableId, only: Only<'_>) -> Option<&'m Weight> {
    let is_saved = only.is_none_or(|only| only.contains(&id));
    model.weights().get(id).filter(|_| is_saved)
}

/// The value of a weight, with what active adapters make of it.
fn value(weight: &Weight, merged: &Merged) -> Tensor {
    let merged = merged.get(&weight.id());
    merged.unwrap_or(weight.value()).clone()
}

/// Layers by container path, as Keras 3 stores them; `with_kept` weights of what wrappers contain are
/// among their own, too.
fn container_layers(
    model: &Network,
    with_kept: bool,
    only: Only<'_>,
    merged: &Merged,
) -> Vec<SavedLayer> {
    let named = |it: &Weight| SavedWeight::new(it.name(), value(it, merged));
    let mut layers = vec![SavedLayer::new("", model.name())];
    layers.extend(keyed_places(model).into_iter().map(|(key, place)| {
        let mut layer = SavedLayer::new(key, place.name);
        // Of a layer that stands in several places, the first has them.
        let kept = place.kept.iter().filter(|_| with_kept);
        let weights = kept.chain(place.weights).filter(|_| !place.is_repeated);
        let weights = weights.filter_map(|&id| saved(model, id, only));
        layer.weights = weights.map(named).collect();
        layer
    }));
    layers
}

/// Layers by name, as Keras 1 and 2 store them: a nested model is one layer, whose trained weights
/// come before the others.
fn legacy_layers(model: &Network, only: Only<'_>, merged: &Merged) -> Vec<SavedLayer> {
    let mut layers: Vec<SavedLayer> = Vec::new();
    let mut fixed: Vec<Vec<SavedWeight>> = Vec::new();
    let mut hides = false;
    let mut met = HashSet::new();
    for place in model.places() {
        if !place.path.contains('/') {
            layers.push(SavedLayer::new(place.name, place.name));
            fixed.push(Vec::new());
            // Keras finds no weight of a frozen model trained, but it reads every `Sequential` as
            // one that is not frozen.
            hides = !place.says_trainable && place.class_name != "Sequential";
            met.clear();
        }
        let (Some(layer), Some(fixed)) = (layers.last_mut(), fixed.last_mut()) else {
            continue;
        };
        for &id in place.weights {
            let Some(weight) = saved(model, id, only).filter(|_| met.insert(id)) else {
                continue;
            };
            let name = format!("{}/{}/{}", model.name(), place.path, weight.name());
            let saved = SavedWeight::new(name, value(weight, merged));
            let parameter = weight.kind() == WeightKind::Parameter;
            let trained = parameter && place.says_trainable && !hides;
            match trained {
                true => layer.weights.push(saved),
                false => fixed.push(saved),
            }
        }
    }
    for (layer, fixed) in layers.iter_mut().zip(fixed) {
        layer.weights.extend(fixed);
    }
    layers
}

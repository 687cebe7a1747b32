//! What a weight file holds, whatever its format: layers with their weights, optimizer, configs.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::naming::split_ordinal;
use crate::{Format, TensorData};

/// The content of a weight file: named tensors grouped by layer, and what else the file tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The format the checkpoint was read from, or is made for.
    pub format: Format,
    /// Who wrote the file, and when.
    pub metadata: Metadata,
    /// The model's architecture: `config.json` of a `.keras` archive (without its
    /// `compile_config`), `model_config` of a legacy `.h5` model.
    pub config: Option<Value>,
    /// Optimizer, loss and metrics: `compile_config` of a `.keras` archive, `training_config` of a
    /// legacy `.h5` model. The two have different schemas.
    pub compile_config: Option<Value>,
    /// The layers in the file's order; where a file has none (HDF5 groups), sorted by class and
    /// number, each container before its content.
    pub layers: Vec<SavedLayer>,
    /// The optimizer's state, if the file has it.
    pub optimizer: Option<SavedOptimizer>,
    /// Tensors that belong neither to a layer nor to Keras' optimizer, such as Keras 2's metrics and
    /// the state of PyTorch's optimizers.
    pub extra: Vec<SavedWeight>,
    /// Other members of a `.keras` archive, such as vocabularies, by their path in it.
    pub assets: BTreeMap<String, Vec<u8>>,
}

/// A layer of a file. Layers without weights are listed too where the format stores them.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedLayer {
    /// The layer's place.
    ///
    /// Keras 3 weights (`.weights.h5`, `.keras`, sharded): the path of groups, as in
    /// `layers/dense_1`, `layers/functional/layers/conv2d` or `layers/lstm/cell`; the model itself
    /// has the empty path. Files of Keras 2.12–2.14, whose container has another name and whose
    /// numbers skip, are listed under the path that Keras 3 would use.
    ///
    /// Legacy `.h5`: the layer's name; a nested model is one layer, whose weights' names tell the
    /// inner ones. Safetensors and PyTorch: the tensor's name up to its last part.
    pub path: String,
    /// The layer's own name (`block1_conv1`), if the file tells it.
    pub name: Option<String>,
    /// The weights in the file's order.
    pub weights: Vec<SavedWeight>,
}

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedWeight {
    /// The tensor's address in the file it was read from, as in `layers/dense/vars/0`; empty if it
    /// was not read from a file. Writers take only the tensor's key within its layer from it.
    pub path: String,
    /// The weight's name as the file spells it, where it does: `dense/kernel:0`,
    /// `sequential/dense/kernel`, `kernel`.
    pub name: Option<String>,
    /// Type, shape and values.
    pub tensor: TensorData,
}

/// The state of an optimizer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SavedOptimizer {
    /// The optimizer's name, as in `adam`, if the file tells it.
    pub name: Option<String>,
    /// All of its variables in the file's order. Keras 3 begins with the iteration and the learning
    /// rate, Keras 2 with the iteration alone; slots follow, per weight in the order of training.
    pub variables: Vec<SavedWeight>,
    /// The variables of a loss scaling around it (Keras' `LossScaleOptimizer`): iteration, learning
    /// rate, step counter, scale. None without.
    pub loss_scale: Vec<SavedWeight>,
}

/// Who wrote a file, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The version of Keras, as in `3.15.1`.
    pub keras_version: Option<String>,
    /// The backend Keras ran on, as in `tensorflow`.
    pub backend: Option<String>,
    /// When the file was saved, as in `2026-11-23@16:27:56`.
    pub date_saved: Option<String>,
    /// Further entries: of a safetensors header, attributes `regraft.…` of an HDF5 file, or the
    /// numbers and texts beside the tensors of a PyTorch file.
    pub entries: BTreeMap<String, String>,
}

impl Checkpoint {
    /// An empty checkpoint of `format`.
    pub fn new(format: Format) -> Self {
        Checkpoint {
            format,
            metadata: Metadata::default(),
            config: None,
            compile_config: None,
            layers: Vec::new(),
            optimizer: None,
            extra: Vec::new(),
            assets: BTreeMap::new(),
        }
    }

    /// The layer at `path`.
    pub fn layer(&self, path: &str) -> Option<&SavedLayer> {
        self.layers.iter().find(|layer| layer.path == path)
    }

    /// The layers directly in `container`, as in `layers` or `layers/functional/layers`.
    pub fn layers_in<'a>(&'a self, container: &'a str) -> impl Iterator<Item = &'a SavedLayer> {
        self.layers
            .iter()
            .filter(move |layer| !layer.path.is_empty() && layer.container() == container)
    }

    /// Every tensor of the file with the layer it belongs to (`None`: optimizer and extra ones).
    pub fn tensors(&self) -> impl Iterator<Item = (Option<&SavedLayer>, &SavedWeight)> {
        let of_layers = self.layers.iter().flat_map(|layer| {
            let weights = layer.weights.iter();
            weights.map(move |weight| (Some(layer), weight))
        });
        let variables = self.optimizer.iter().flat_map(|saved| &saved.variables);
        let others = variables.chain(&self.extra).map(|weight| (None, weight));
        of_layers.chain(others)
    }

    /// The path of `layer` in layers' own names, as in `mobilenetv2/Conv1`, or in keys where the
    /// file has no names. The containers between them are left out.
    pub fn name_path(&self, layer: &SavedLayer) -> String {
        self.name_paths()
            .remove(layer.path.as_str())
            .unwrap_or_else(|| layer.path.clone())
    }

    /// [`name_path`](Self::name_path) of every layer, by its path.
    pub fn name_paths(&self) -> HashMap<&str, String> {
        let names: HashMap<&str, &str> = self
            .layers
            .iter()
            .map(|layer| (layer.path.as_str(), layer.name()))
            .collect();
        let name_path = |path: &str| {
            let ends = path.match_indices('/').map(|(at, _)| at);
            let prefixes = ends.chain([path.len()]).map(|end| &path[..end]);
            let known: Vec<&str> = prefixes
                .filter_map(|prefix| names.get(prefix).copied())
                .collect();
            known.join("/")
        };
        names.keys().map(|&path| (path, name_path(path))).collect()
    }
}

impl SavedLayer {
    /// A layer at `path` with its own `name` and no weights yet.
    pub fn new(path: impl Into<String>, name: impl Into<String>) -> Self {
        SavedLayer {
            path: path.into(),
            name: Some(name.into()),
            weights: Vec::new(),
        }
    }

    /// The same layer with one more weight.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, tensor: impl Into<TensorData>) -> Self {
        self.weights.push(SavedWeight::new(name, tensor));
        self
    }

    /// The layer's name, or its key if the file does not tell the name.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.key())
    }

    /// The last part of the path, as in `dense_1`.
    pub fn key(&self) -> &str {
        self.path
            .rsplit_once('/')
            .map_or(&self.path, |(_, key)| key)
    }

    /// The path of the container, as in `layers`; empty for what lies directly in the model.
    pub fn container(&self) -> &str {
        self.path
            .rsplit_once('/')
            .map_or("", |(container, _)| container)
    }

    /// The snake-case class that the key tells, as `dense` of `dense_1`. In a container of layers
    /// only: the key of a layer that is a Python attribute is the attribute's name.
    pub fn class(&self) -> &str {
        split_ordinal(self.key()).0
    }

    /// The layer's number among those of its class in its container, as 1 of `dense_1`; from 0.
    pub fn ordinal(&self) -> usize {
        split_ordinal(self.key()).1
    }
}

impl SavedWeight {
    /// A weight that has not been in a file yet.
    pub fn new(name: impl Into<String>, tensor: impl Into<TensorData>) -> Self {
        SavedWeight {
            path: String::new(),
            name: Some(name.into()),
            tensor: tensor.into(),
        }
    }

    /// The last part of the name without TensorFlow's `:0`, as in `kernel`.
    pub fn variable(&self) -> Option<&str> {
        self.parts().map(|(_, variable)| variable)
    }

    /// The name without its last part, as `sequential/dense` of `sequential/dense/kernel`.
    pub fn scope(&self) -> Option<&str> {
        self.parts().map(|(scope, _)| scope)
    }

    fn parts(&self) -> Option<(&str, &str)> {
        let name = self.name.as_deref()?;
        let name = name.strip_suffix(":0").unwrap_or(name);
        Some(name.rsplit_once('/').unwrap_or(("", name)))
    }
}

impl SavedOptimizer {
    /// The number of steps taken.
    pub fn iterations(&self) -> Option<i64> {
        self.variables.first()?.tensor.as_integer()
    }

    /// The learning rate, unless it follows a schedule or the file is of Keras 2.
    pub fn learning_rate(&self) -> Option<f32> {
        let rate = self.variables.get(1)?;
        let named = rate.variable().is_none_or(|name| name == "learning_rate");
        (named && rate.tensor.shape().is_empty()).then_some(())?;
        Some(rate.tensor.to_tensor().ok()?.as_slice()[0])
    }

    /// The variables after the iteration and the learning rate.
    pub fn slots(&self) -> &[SavedWeight] {
        let first =
            usize::from(self.iterations().is_some()) + usize::from(self.learning_rate().is_some());
        &self.variables[first..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regraft_tensor::Tensor;

    #[test]
    fn a_layer_knows_its_key_class_and_name_path() {
        let mut checkpoint = Checkpoint::new(Format::KERAS_3);
        checkpoint.layers = vec![
            SavedLayer::new("", "model"),
            SavedLayer::new("layers/functional", "base"),
            SavedLayer::new("layers/functional/layers/conv2d_12", "block_conv")
                .with("kernel", Tensor::zeros([1])),
        ];
        let conv = &checkpoint.layers[2];
        assert_eq!((conv.class(), conv.ordinal()), ("conv2d", 12));
        assert_eq!(conv.container(), "layers/functional/layers");
        assert_eq!(checkpoint.name_path(conv), "base/block_conv");
        assert_eq!(checkpoint.layers_in("layers").count(), 1);
        assert_eq!(checkpoint.layers_in("").count(), 0);
        assert_eq!(checkpoint.tensors().count(), 1);
    }

    #[test]
    fn weight_names_split_into_scope_and_variable() {
        let weight = SavedWeight::new("sequential/dense/kernel:0", Tensor::zeros([1]));
        assert_eq!(weight.variable(), Some("kernel"));
        assert_eq!(weight.scope(), Some("sequential/dense"));
    }
}

//! Models as Keras' `config.json` and back: [`Model::to_config`] and [`Model::from_config`].
//!
//! What is written is Keras 3's form, with the settings that every version of Keras 3 knows. What is
//! read is that of Keras 3 and of Keras 1 and 2. A freezing state that Keras' `trainable` cannot
//! express stands beside a layer's `config` under the key `freezing`, which Keras passes over (that of a
//! frozen wrapper always, since Keras' says nothing of what is in it), and
//! weights that were frozen or unfrozen alone under `trainable_weights`; under `parts` the states of layers that a layer makes itself, where they are not its own; under `keras2` that the layer comes from
//! a file of Keras 1 or 2, which some layers compute otherwise in.

mod call_arguments;
mod graph;
mod operation;
#[cfg(test)]
mod operations_tests;
mod read;
mod reference;
mod shared;
mod support;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::layers::Wrapper;
use crate::{Layer, Model, Registry, Result};

/// The key of a layer's freezing state, beside `config`.
const FREEZING: &str = "freezing";

/// The key of weights that do not follow their layer, beside `config`: by name, whether each is trained.
const ALONE: &str = "trainable_weights";

/// The key of states of layers that a layer makes itself, beside `config`: by name, the freezing state.
const PARTS: &str = "parts";

/// The key that says that a layer computes as in Keras 2, beside `config`.
const KERAS2: &str = "keras2";

/// Settings that Keras' class does not have, which are beside `config` for that reason: class and key.
const BESIDE: [(&str, &str); 2] = [
    ("BatchNormalization", "unbiased"),
    ("PositionEmbedding", "first"),
];

/// Layers whose inputs Keras passes as one list.
const TAKES_A_LIST: [&str; 11] = [
    "Add",
    "AdditiveAttention",
    "Attention",
    "Average",
    "Concatenate",
    "CustomScaleLayer",
    "Dot",
    "Maximum",
    "Minimum",
    "Multiply",
    "Subtract",
];

/// Layers that take the states to begin with as an argument of their call, `initial_state`.
const TAKES_STATES: [&str; 8] = [
    "Bidirectional",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "GRU",
    "LSTM",
    "RNN",
    "SimpleRNN",
];

/// The wrapper of this class with these settings, which have the layer that it contains.
pub(crate) fn wrapper(
    registry: &Registry,
    class_name: &str,
    settings: &Map<String, Value>,
) -> Result<Arc<dyn Layer>> {
    let wrapper = Wrapper::of(class_name).expect("the registry asks for wrappers alone");
    read::Reader { registry }.wrapper(settings, wrapper, 0)
}

impl Model {
    /// The model as Keras 3's `config.json` has it: classes, settings and connections, without the
    /// values of weights.
    pub fn to_config(&self) -> Value {
        let mut written = write::model(&self.name, &self.topology);
        shared::Shared::of(&self.topology).write(&self.topology, &mut written);
        written
    }

    /// The model that a configuration describes, with first weights as its initializers give them.
    ///
    /// It reads what [`to_config`](Self::to_config) and Keras write: `Sequential` and functional
    /// models, nested ones included. A layer whose `trainable` is false arrives
    /// [frozen](crate::Freezing::Frozen); one that is called with `training=False` behaves as in
    /// inference ([`FrozenStatistics`](crate::Freezing::FrozenStatistics)).
    ///
    /// `trainable` of a model is read as Keras reads it. It says nothing of the layers in a nested
    /// model, which have their own; it is kept, and saved again. Of the whole, a functional model that
    /// Keras 3 wrote as not trainable trains no parameter, whatever its layers say
    /// ([`FrozenParams`](crate::Freezing::FrozenParams)), until it is a part of another model or a
    /// state is set. Keras itself drops the setting of a `Sequential`, and Keras 2 of every model.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for what is missing, has no meaning or is not
    /// supported; a class that `registry` does not know; and what building the model refuses.
    pub fn from_config(config: &Value, registry: &Registry) -> Result<Model> {
        let mut model = read::Reader { registry }.model(config, 0)?;
        for paths in shared::groups(config)? {
            model.share_layers(&paths)?;
        }
        Ok(model)
    }

    /// Fixes the parameters of all layers within models that are frozen themselves. Keras 2 does so
    /// while a model is in memory, and in a SavedModel; where it reads a configuration it has
    /// forgotten which models were frozen.
    pub fn hide_within_frozen(&mut self) {
        self.topology.hide_within_frozen(false);
        self.revision.renew();
    }
}

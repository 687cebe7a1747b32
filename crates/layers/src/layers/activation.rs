//! An activation as a layer of its own.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::settings::{FromSettings, Settings};
use crate::{Activation, Call, Flow, Layer, Weights};

/// `y = activation(x)`, element by element (or along the last axis, as softmax).
///
/// It has no weights; being frozen changes nothing. Keras' class `Activation`:
/// <https://keras.io/api/layers/core_layers/activation/>.
#[derive(Clone, Debug)]
pub struct ActivationLayer {
    activation: Activation,
}

impl ActivationLayer {
    /// A layer that applies `activation`: `ActivationLayer::new("relu")`.
    pub fn new(activation: impl Into<Activation>) -> Self {
        ActivationLayer {
            activation: activation.into(),
        }
    }
}

impl Layer for ActivationLayer {
    fn class_name(&self) -> &str {
        "Activation"
    }

    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        super::support::single(inputs)?;
        self.activation.get().map(|_| ())
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.activation.apply(inputs[0])
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = Map::new();
        config.insert("activation".into(), self.activation.serialize());
        config
    }
}

impl FromSettings for ActivationLayer {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let activation = settings.activation("activation")?;
        Ok(ActivationLayer::new(
            activation.unwrap_or_else(|| "linear".into()),
        ))
    }
}

//! An activation as a layer of its own.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use crate::{Activation, Call, Flow, Layer, Weights};

settings! {
    /// `y = activation(x)`, element by element (or along the last axis, as softmax).
    ///
    /// It has no weights; being frozen changes nothing. Keras' class `Activation`:
    /// <https://keras.io/api/layers/core_layers/activation/>.
    #[derive(Clone, Debug)]
    pub struct ActivationLayer as "keras.layers.Activation" {
        /// A layer that applies `activation`: `ActivationLayer::new("relu")`.
        new(activation: Activation = "linear")
        activation: Activation = activation,
    }
}

impl Layer for ActivationLayer {
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
}

//! The layer that does nothing.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::support::single;
use crate::{Call, Flow, Layer, Weights};

settings! {
    /// `y = x`, of any shape: a place with a name, such as for cutting a model there.
    ///
    /// It has no weights; being frozen changes nothing.
    /// Keras: <https://keras.io/api/layers/core_layers/identity/>.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Identity as "keras.layers.Identity";
}

impl Layer for Identity {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        single(inputs).map(|_| ())
    }

    fn takes_any_type(&self) -> bool {
        true
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        inputs[0]
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        // Keras 2 drops it here.
        call.mask(0).filter(|_| !call.as_keras2())
    }
}

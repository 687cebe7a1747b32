//! Initializers whose spread follows from the number of connections: Glorot, He, LeCun.

use regraft_tensor::kernels::random::{self, Key};
use regraft_tensor::{Detail, Tensor};

use crate::{Configured, InitializerFunction};

/// Uniform in ±√(6 / (inputs + outputs)): the default for kernels.
///
/// Glorot and Bengio 2010; <https://keras.io/api/layers/initializers/#glorotuniform-class>.
#[derive(Clone, Copy, Debug)]
pub struct GlorotUniform;

/// The numbers of inputs and outputs of a kernel of this shape: the last two axes, times the
/// product of the axes before (the size of a convolution's window).
pub(crate) fn fans(shape: &[usize]) -> (f32, f32) {
    match *shape {
        [] => (1.0, 1.0),
        [size] => (size as f32, size as f32),
        [.., inputs, outputs] => {
            let window: usize = shape[..shape.len() - 2].iter().product();
            ((window * inputs) as f32, (window * outputs) as f32)
        }
    }
}

impl Configured for GlorotUniform {
    fn class_name(&self) -> &str {
        "GlorotUniform"
    }

    fn module(&self) -> &str {
        "keras.initializers"
    }
}

impl InitializerFunction for GlorotUniform {
    fn initialize(&self, shape: &[usize], key: Key) -> Result<Tensor, Detail> {
        let (inputs, outputs) = fans(shape);
        let limit = (6.0 / (inputs + outputs).max(1.0)).sqrt();
        let mut tensor = Tensor::zeros(shape);
        random::uniform(key, 0, tensor.as_mut_slice());
        for value in tensor.as_mut_slice() {
            *value = (2.0 * *value - 1.0) * limit;
        }
        Ok(tensor)
    }
}

//! Keras' activations, one file each.
//!
//! Keras has no place in its files for the settings of an activation function, only for those of an
//! activation layer. So settings other than the defaults are written as that layer where Keras has
//! one (`ReLU`, `LeakyReLU`, `ELU`, `Softmax`); the others it refuses to read, rather than
//! computing something else.

mod define;
mod exponential_linear;
#[cfg(test)]
mod golden;
mod piecewise_linear;

use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::Activation;
use crate::settings::{self, catalogue};

catalogue! {
    Activation, Activation::make:
    celu: Celu ["celu"];
    elu: Elu ["elu"];
    exponential: Exponential ["exponential"];
    gelu: Gelu ["gelu"];
    glu: Glu ["glu"];
    hard_shrink: HardShrink ["hard_shrink"];
    hard_sigmoid: HardSigmoid ["hard_sigmoid"];
    hard_silu: HardSilu ["hard_silu", "hard_swish"];
    hard_tanh: HardTanh ["hard_tanh"];
    keras2_hard_sigmoid: Keras2HardSigmoid ["keras2_hard_sigmoid"];
    leaky_relu: LeakyRelu ["leaky_relu", "leaky_re_lu"];
    linear: Linear ["linear"];
    log_sigmoid: LogSigmoid ["log_sigmoid"];
    log_softmax: LogSoftmax ["log_softmax"];
    mish: Mish ["mish"];
    relu: Relu ["relu", "re_lu"];
    relu6: Relu6 ["relu6"];
    selu: Selu ["selu"];
    sigmoid: Sigmoid ["sigmoid"];
    silu: Silu ["silu", "swish"];
    soft_shrink: SoftShrink ["soft_shrink"];
    softmax: Softmax ["softmax"];
    softplus: Softplus ["softplus"];
    softsign: Softsign ["softsign"];
    sparse_plus: SparsePlus ["sparse_plus"];
    sparse_sigmoid: SparseSigmoid ["sparse_sigmoid"];
    sparsemax: Sparsemax ["sparsemax"];
    squareplus: Squareplus ["squareplus"];
    tanh: Tanh ["tanh"];
    tanh_shrink: TanhShrink ["tanh_shrink"];
    threshold: Threshold ["threshold"];
}

/// The activation that Keras calls `name`, with these settings.
///
/// # Errors
/// A name that is not known (the nearest are listed) or a setting that has no meaning.
pub fn from_config(name: &str, config: &Map<String, Value>) -> Result<Activation, Detail> {
    settings::make("activation", TABLE, name, config)
}

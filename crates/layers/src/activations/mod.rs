//! Keras' activations, one file each.
//!
//! Keras has no place in its files for the settings of an activation function, only for those of an
//! activation layer. So settings other than the defaults are written as that layer where Keras has
//! one (`ReLU`, `LeakyReLU`, `ELU`, `Softmax`); the others it refuses to read, rather than
//! computing something else.

mod celu;
mod define;
mod elu;
mod exponential;
mod exponential_linear;
mod gelu;
mod glu;
#[cfg(test)]
mod golden;
mod hard_shrink;
mod hard_sigmoid;
mod hard_silu;
mod hard_tanh;
mod keras2_hard_sigmoid;
mod leaky_relu;
mod linear;
mod log_sigmoid;
mod log_softmax;
mod mish;
mod piecewise_linear;
mod relu;
mod relu6;
mod selu;
mod sigmoid;
mod silu;
mod soft_shrink;
mod softmax;
mod softplus;
mod softsign;
mod sparse_plus;
mod sparse_sigmoid;
mod sparsemax;
mod squareplus;
mod tanh;
mod tanh_shrink;
mod threshold;

pub use celu::Celu;
pub use elu::Elu;
pub use exponential::Exponential;
pub use gelu::Gelu;
pub use glu::Glu;
pub use hard_shrink::HardShrink;
pub use hard_sigmoid::HardSigmoid;
pub use hard_silu::HardSilu;
pub use hard_tanh::HardTanh;
pub use keras2_hard_sigmoid::Keras2HardSigmoid;
pub use leaky_relu::LeakyRelu;
pub use linear::Linear;
pub use log_sigmoid::LogSigmoid;
pub use log_softmax::LogSoftmax;
pub use mish::Mish;
pub use relu::Relu;
pub use relu6::Relu6;
pub use selu::Selu;
pub use sigmoid::Sigmoid;
pub use silu::Silu;
pub use soft_shrink::SoftShrink;
pub use softmax::Softmax;
pub use softplus::Softplus;
pub use softsign::Softsign;
pub use sparse_plus::SparsePlus;
pub use sparse_sigmoid::SparseSigmoid;
pub use sparsemax::Sparsemax;
pub use squareplus::Squareplus;
pub use tanh::Tanh;
pub use tanh_shrink::TanhShrink;
pub use threshold::Threshold;

use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::Activation;
use crate::settings::{self, Maker};

const TABLE: &[Maker<Activation>] = &[
    (&["celu"], Activation::make::<Celu>),
    (&["elu"], Activation::make::<Elu>),
    (&["exponential"], Activation::make::<Exponential>),
    (&["gelu"], Activation::make::<Gelu>),
    (&["glu"], Activation::make::<Glu>),
    (&["hard_shrink"], Activation::make::<HardShrink>),
    (&["hard_sigmoid"], Activation::make::<HardSigmoid>),
    (
        &["keras2_hard_sigmoid"],
        Activation::make::<Keras2HardSigmoid>,
    ),
    (&["hard_silu", "hard_swish"], Activation::make::<HardSilu>),
    (&["hard_tanh"], Activation::make::<HardTanh>),
    (
        &["leaky_relu", "leaky_re_lu"],
        Activation::make::<LeakyRelu>,
    ),
    (&["linear"], Activation::make::<Linear>),
    (&["log_sigmoid"], Activation::make::<LogSigmoid>),
    (&["log_softmax"], Activation::make::<LogSoftmax>),
    (&["mish"], Activation::make::<Mish>),
    (&["relu", "re_lu"], Activation::make::<Relu>),
    (&["relu6"], Activation::make::<Relu6>),
    (&["selu"], Activation::make::<Selu>),
    (&["sigmoid"], Activation::make::<Sigmoid>),
    (&["silu", "swish"], Activation::make::<Silu>),
    (&["soft_shrink"], Activation::make::<SoftShrink>),
    (&["softmax"], Activation::make::<Softmax>),
    (&["softplus"], Activation::make::<Softplus>),
    (&["softsign"], Activation::make::<Softsign>),
    (&["sparse_plus"], Activation::make::<SparsePlus>),
    (&["sparse_sigmoid"], Activation::make::<SparseSigmoid>),
    (&["sparsemax"], Activation::make::<Sparsemax>),
    (&["squareplus"], Activation::make::<Squareplus>),
    (&["tanh"], Activation::make::<Tanh>),
    (&["tanh_shrink"], Activation::make::<TanhShrink>),
    (&["threshold"], Activation::make::<Threshold>),
];

/// The activation that Keras calls `name`, with these settings.
///
/// # Errors
/// A name that is not known (the nearest are listed) or a setting that has no meaning.
pub fn from_config(name: &str, config: &Map<String, Value>) -> Result<Activation, Detail> {
    settings::make("activation", TABLE, name, config)
}

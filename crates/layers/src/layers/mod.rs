//! The layers, one file each.

mod activation;
mod dense;
mod input;

pub use activation::ActivationLayer;
pub use dense::Dense;
pub use input::Input;

use regraft_autograd::{Dim, Shape};
use regraft_tensor::Detail;

/// The size of the last axis of the only input.
pub(crate) fn features(inputs: &[Shape]) -> Result<usize, Detail> {
    match inputs {
        [input] => match input.dims() {
            [_, .., Dim::Fixed(features)] => Ok(*features),
            _ => Err(Detail::new("", "an input (batch, …, features)", input)),
        },
        _ => Err(Detail::new("", "1 input", inputs.len())),
    }
}

//! The constructor of models whose layers follow one another.

use regraft_layers::LayerSpec;

use crate::{Model, Result};

/// Makes a stack of layers. It is only the name of the constructor: what it gives is a [`Model`].
#[derive(Clone, Copy, Debug)]
pub enum Sequential {}

impl Sequential {
    /// A stack of these layers: `Sequential::new(layers![Input::new([784]), Dense::new(10)])`.
    ///
    /// # Errors
    /// A layer that refuses its input, or a name that is there twice.
    #[expect(clippy::new_ret_no_self, reason = "it is the name of a constructor")]
    pub fn new(layers: Vec<LayerSpec>) -> Result<Model> {
        Self::with_seed(layers, 0)
    }

    /// As [`new`](Self::new), with first weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_seed(layers: Vec<LayerSpec>, seed: u64) -> Result<Model> {
        Ok(regraft_layers::Sequential::with_seed(layers, seed)?.into())
    }
}

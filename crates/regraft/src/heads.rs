//! Heads that are solved, not stepped, as layers of models; everything of `regraft_heads` beside.
//!
//! ```
//! use regraft::heads::{Ridge, ToModel};
//! use regraft::layers::{Dense, Input, layers};
//! use regraft::{Sequential, Tensor};
//!
//! let mut base = Sequential::new(layers![Input::new([2]), Dense::new(8).activation("tanh")])?;
//! base.freeze(..)?;
//! let x = Tensor::new([6, 2], vec![0.0, 0.1, 0.2, 0.0, 0.1, 0.3, 1.0, 1.1, 0.9, 1.2, 1.1, 0.8])?;
//!
//! let solved = Ridge::new().fit(&base.predict(&x)?, &[0, 0, 0, 1, 1, 1])?;
//! println!("{}", solved.left_out().accuracy().expect("several samples of each class"));
//!
//! let model = base.with_solved_head("predictions", &solved)?; // probabilities, ready to save
//! assert_eq!(model.predict(&x)?.argmax(-1)?.as_slice(), [0, 0, 0, 1, 1, 1]);
//! let head = solved.to_model("predictions")?; // the head alone
//! assert_eq!(head.predict(&base.predict(&x)?)?, model.predict(&x)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use regraft_heads::*;

use crate::layers::{Dense, Input, LayerExt, LayerSpec, layers};
use crate::{Model, Sequential};

/// What was solved, as a model.
pub trait ToModel {
    /// A stack of one dense layer with softmax, called `name`, whose inputs are features.
    ///
    /// # Errors
    /// A name that a layer cannot have.
    fn to_model(&self, name: &str) -> crate::Result<Model>;
}

impl ToModel for Solved {
    fn to_model(&self, name: &str) -> crate::Result<Model> {
        let mut model = Sequential::new(layers![Input::new([self.features()]), layer(self, name)])?;
        model.set_layer_weights(name, weights(self))?;
        Ok(model)
    }
}

impl Model {
    /// This model, which gave the features, and the solved head on top: a dense layer with softmax, called `name`.
    ///
    /// # Errors
    /// If the model gives another number of features, or has a layer of that name.
    pub fn with_solved_head(&self, name: &str, solved: &Solved) -> crate::Result<Model> {
        let mut model = self.with_head(vec![layer(solved, name)])?;
        model.set_layer_weights(name, weights(solved))?;
        Ok(model)
    }
}

fn layer(solved: &Solved, name: &str) -> LayerSpec {
    Dense::new(solved.classes())
        .activation("softmax")
        .named(name)
}

fn weights(solved: &Solved) -> Vec<regraft_tensor::Tensor> {
    vec![solved.kernel().clone(), solved.bias().clone()]
}

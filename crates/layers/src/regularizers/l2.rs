//! The sum of squares.

use regraft_autograd::Var;
use serde_json::{Map, Value};

use crate::{Configured, RegularizerFunction};

/// `l2 · Σ w²`. Keras: <https://keras.io/api/layers/regularizers/>.
#[derive(Clone, Copy, Debug)]
pub struct L2 {
    /// The factor; Keras' default is 0.01.
    pub l2: f32,
}

impl Configured for L2 {
    fn class_name(&self) -> &str {
        "L2"
    }

    fn module(&self) -> &str {
        "keras.regularizers"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("l2".to_string(), self.l2.into())])
    }
}

impl RegularizerFunction for L2 {
    fn penalty<'g>(&self, weight: Var<'g>) -> Var<'g> {
        weight.square().sum_all() * self.l2
    }
}

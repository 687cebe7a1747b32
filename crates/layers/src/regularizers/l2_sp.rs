//! The distance from where training started.

use std::collections::HashMap;
use std::sync::Arc;

use regraft_autograd::Var;
use regraft_tensor::{Detail, Tensor};

use crate::settings::{Map, number, require_rate};
use crate::{Class, Configured, Model, Regularizer, RegularizerFunction, WeightKind};

/// `strength · Σ (w − w₀)²`, where w₀ is what the weight was when this was made: fine-tuning is held to
/// where it started, instead of to zero. Li, Grandvalet, Davoine 2018
/// (<https://arxiv.org/abs/1802.01483>).
///
/// ```
/// use regraft_layers::regularizers::L2SP;
/// use regraft_layers::{Dense, Input, Sequential, layers};
///
/// let mut model = Sequential::new(layers![Input::new([4]), Dense::new(3), Dense::new(2)])?;
/// let start = L2SP::towards(&model, 0.01);
/// model.set_regularizer("dense", start)?;
/// # Ok::<(), regraft_layers::Error>(())
/// ```
///
/// Keras has no such regularizer, so a saved model does not have it.
#[derive(Clone, Debug)]
pub struct L2SP {
    strength: f32,
    start: Arc<HashMap<String, Tensor>>,
}

impl L2SP {
    /// Towards the values that the parameters of `model` have now.
    pub fn towards(model: &Model, strength: f32) -> Self {
        let parameters = model.weights().iter();
        let parameters = parameters.filter(|weight| weight.kind() == WeightKind::Parameter);
        let start = parameters.map(|weight| (weight.path().to_string(), weight.value().clone()));
        L2SP {
            strength,
            start: Arc::new(start.collect()),
        }
    }

    /// The regularizer of the weight at `path`.
    ///
    /// # Errors
    /// A weight that the model had not.
    pub fn of(&self, path: &str) -> Result<Regularizer, Detail> {
        match self.start.get(path) {
            Some(start) => Ok(Regularizer::new(TowardsStart {
                strength: self.strength,
                start: start.clone(),
            })),
            None => Err(Detail::new(
                path,
                "a weight of the model that it was made for",
                "another",
            )),
        }
    }
}

/// [`L2SP`] of one weight.
#[derive(Debug)]
struct TowardsStart {
    strength: f32,
    start: Tensor,
}

impl Configured for TowardsStart {
    fn class(&self) -> Class<'_> {
        Class::new("L2SP")
    }

    fn config(&self) -> Map {
        Map::from_iter([("strength".to_string(), number(self.strength))])
    }

    fn check(&self) -> Result<(), Detail> {
        require_rate("L2SP.strength", self.strength)
    }
}

impl RegularizerFunction for TowardsStart {
    fn penalty<'g>(&self, weight: Var<'g>) -> Var<'g> {
        let start = weight.graph().constant(self.start.clone());
        (weight - start).square().sum_all() * self.strength
    }
}

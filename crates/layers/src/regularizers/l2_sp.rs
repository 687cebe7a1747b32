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
/// With an [importance](Self::importance) of each element it is elastic weight consolidation.
///
/// Keras has no such regularizer, so a saved model does not have it.
#[derive(Clone, Debug)]
pub struct L2SP {
    strength: f32,
    start: Arc<HashMap<String, Tensor>>,
    importance: Option<Arc<HashMap<String, Tensor>>>,
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
            importance: None,
        }
    }

    /// `strength · Σ F (w − w₀)²`: each element is held as strongly as it was important. With the diagonal of the Fisher
    /// information for F, and half of the λ there for the strength, this is elastic weight consolidation (Kirkpatrick et
    /// al. 2017, <https://arxiv.org/abs/1612.00796>): what was learnt first is forgotten less.
    ///
    /// # Errors
    /// Importance of a weight that the model had not, of another shape, or with an element that is negative or no number.
    pub fn importance(
        mut self,
        importance: impl IntoIterator<Item = (String, Tensor)>,
    ) -> Result<Self, Detail> {
        let importance: HashMap<String, Tensor> = importance.into_iter().collect();
        for (path, of) in &importance {
            let start = self.start.get(path).ok_or_else(|| another(path))?;
            if of.shape() != start.shape() {
                let expected = format!("importance of shape {:?}", start.shape());
                return Err(Detail::new(path, expected, format!("{:?}", of.shape())));
            }
            let is_wrong = |value: &&f32| !value.is_finite() || **value < 0.0;
            if let Some(value) = of.as_slice().iter().find(is_wrong) {
                return Err(Detail::new(path, "importance of 0 or more", value));
            }
        }
        self.importance = Some(Arc::new(importance));
        Ok(self)
    }

    /// The regularizer of the weight at `path`.
    ///
    /// # Errors
    /// A weight that the model had not.
    pub fn of(&self, path: &str) -> Result<Regularizer, Detail> {
        let start = self.start.get(path).ok_or_else(|| another(path))?;
        let importance = match &self.importance {
            None => None,
            Some(known) => Some(known.get(path).cloned().ok_or_else(|| {
                let expected = "a weight whose importance was told";
                Detail::new(path, expected, "another")
            })?),
        };
        Ok(Regularizer::new(TowardsStart {
            strength: self.strength,
            start: start.clone(),
            importance,
        }))
    }
}

fn another(path: &str) -> Detail {
    let expected = "a weight of the model that it was made for";
    Detail::new(path, expected, "another")
}

/// [`L2SP`] of one weight.
#[derive(Debug)]
struct TowardsStart {
    strength: f32,
    start: Tensor,
    importance: Option<Tensor>,
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
        let squares = (weight - start).square();
        let held = match &self.importance {
            None => squares,
            Some(importance) => squares * weight.graph().constant(importance.clone()),
        };
        held.sum_all() * self.strength
    }
}

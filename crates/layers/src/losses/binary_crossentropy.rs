//! Cross-entropy of yes-or-no targets.

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::Link;
use super::define::{like, smooth};
use super::sigmoid_cross_entropy::{crossentropy, link};
use crate::axis::resolve;
use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, Loss};

/// −mean(target · log p + (1 − target) · log(1 − p)) along `axis`, in [0, ∞), where p is the
/// prediction, kept within 10⁻⁷ and 1 − 10⁻⁷, or the sigmoid of a logit, computed without forming
/// it.
///
/// Keras: <https://keras.io/api/losses/probabilistic_losses/#binarycrossentropy-class>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinaryCrossentropy {
    /// Whether predictions are logits; Keras' default is that they are probabilities. Where they
    /// are what a sigmoid gives, its logits are taken in either case, because they are exact.
    pub from_logits: bool,
    /// How much of each target is given to all classes alike, from 0 to 1; Keras' default is 0.
    pub label_smoothing: f32,
    /// The axis of the mean; Keras' default is the last, −1.
    pub axis: isize,
}

impl Default for BinaryCrossentropy {
    fn default() -> Self {
        BinaryCrossentropy {
            from_logits: false,
            label_smoothing: 0.0,
            axis: -1,
        }
    }
}

impl BinaryCrossentropy {
    /// For a last layer without activation: predictions are logits.
    pub fn from_logits() -> Self {
        BinaryCrossentropy {
            from_logits: true,
            ..Self::default()
        }
    }
}

impl Configured for BinaryCrossentropy {
    fn class_name(&self) -> &str {
        "BinaryCrossentropy"
    }

    fn module(&self) -> &str {
        "keras.losses"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("from_logits".to_string(), self.from_logits.into()),
            (
                "label_smoothing".to_string(),
                settings::number(self.label_smoothing),
            ),
            ("axis".to_string(), self.axis.into()),
        ])
    }

    fn check(&self) -> Result<(), Detail> {
        settings::require_share("BinaryCrossentropy.label_smoothing", self.label_smoothing)
    }
}

impl FromSettings for BinaryCrossentropy {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = BinaryCrossentropy::default();
        Ok(BinaryCrossentropy {
            from_logits: settings.flag("from_logits", default.from_logits)?,
            label_smoothing: settings.number("label_smoothing", default.label_smoothing)?,
            axis: settings.axis("axis", default.axis)?,
        })
    }
}

impl Loss for BinaryCrossentropy {
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail> {
        like(predictions)
    }

    fn call<'g>(&self, targets: Var<'g>, predictions: Var<'g>) -> Var<'g> {
        let Some(axis) = resolve("BinaryCrossentropy", predictions, self.axis) else {
            return predictions;
        };
        let targets = smooth(targets, self.label_smoothing, 0.5);
        crossentropy(targets, predictions, self.from_logits).mean(&[axis])
    }

    fn link(&self, predictions: Var<'_>) -> Option<Link> {
        link(predictions, self.from_logits)
    }
}

//! The Tversky loss.

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::define::{like, overlap_axes};
use crate::formulas::EPSILON;
use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, Loss};

/// 1 − both / (both + `alpha` · missed + `beta` · wrong + 10⁻⁷), in [0, 1], where both = Σ target ·
/// prediction, missed = Σ target · (1 − prediction) and wrong = Σ (1 − target) · prediction. With
/// alpha = beta = 1/2 it is the Dice loss.
///
/// Salehi, Erdogmus and Gholipour 2017 (<https://arxiv.org/abs/1706.05721>).
///
/// Keras: <https://keras.io/api/losses/segmentation_losses/#tversky-class>.
#[derive(Clone, Debug, PartialEq)]
pub struct Tversky {
    /// The weight of what is missed; Keras' default is 0.5.
    pub alpha: f32,
    /// The weight of what is wrongly found; Keras' default is 0.5.
    pub beta: f32,
    /// The axes that are summed over; Keras' default is all, so that there is one number for the
    /// whole batch. `[1, 2, 3]` gives each image of a batch its own.
    pub axis: Option<Vec<isize>>,
}

impl Default for Tversky {
    fn default() -> Self {
        Tversky {
            alpha: 0.5,
            beta: 0.5,
            axis: None,
        }
    }
}

impl Configured for Tversky {
    fn class_name(&self) -> &str {
        "Tversky"
    }

    fn module(&self) -> &str {
        "keras.losses"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("alpha".to_string(), settings::number(self.alpha)),
            ("beta".to_string(), settings::number(self.beta)),
            (
                "axis".to_string(),
                self.axis.as_deref().map_or(Value::Null, settings::axes),
            ),
        ])
    }

    fn check(&self) -> Result<(), Detail> {
        settings::require_rate("Tversky.alpha", self.alpha)?;
        settings::require_rate("Tversky.beta", self.beta)
    }
}

impl FromSettings for Tversky {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = Tversky::default();
        Ok(Tversky {
            alpha: settings.number("alpha", default.alpha)?,
            beta: settings.number("beta", default.beta)?,
            axis: settings.axes("axis")?,
        })
    }
}

impl Loss for Tversky {
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail> {
        like(predictions)
    }

    fn call<'g>(&self, targets: Var<'g>, predictions: Var<'g>) -> Var<'g> {
        let Some(axes) = overlap_axes(self.class_name(), predictions, &self.axis) else {
            return predictions;
        };
        let both = (targets * predictions).sum(&axes);
        let missed = (targets * (1.0 - predictions)).sum(&axes);
        let wrong = ((1.0 - targets) * predictions).sum(&axes);
        let all = both + missed * self.alpha + wrong * self.beta + EPSILON;
        1.0 - both / all
    }
}

//! The Tversky loss.

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;
use serde_json::Value;

use super::define::{like, overlap_axes};
use crate::formulas::EPSILON;
use crate::settings::{axes, require_rate};
use crate::{Configured, Loss};

settings! {
    /// 1 − both / (both + `alpha` · missed + `beta` · wrong + 10⁻⁷), in [0, 1], where both = Σ target ·
    /// prediction, missed = Σ target · (1 − prediction) and wrong = Σ (1 − target) · prediction. With
    /// alpha = beta = 1/2 it is the Dice loss.
    ///
    /// Salehi, Erdogmus and Gholipour 2017 (<https://arxiv.org/abs/1706.05721>).
    ///
    /// Keras: <https://keras.io/api/losses/segmentation_losses/#tversky-class>.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Tversky as "keras.losses.Tversky" {
        /// The weight of what is missed; Keras' default is 0.5.
        pub alpha: f32 = 0.5 => require_rate,
        /// The weight of what is wrongly found; Keras' default is 0.5.
        pub beta: f32 = 0.5 => require_rate,
        /// The axes that are summed over; Keras' default is all, so that there is one number for the
        /// whole batch. `[1, 2, 3]` gives each image of a batch its own.
        pub axis: Option<Vec<isize>> = None,
    }
    writing |it, config| {
        config["axis"] = it.axis.as_deref().map_or(Value::Null, axes);
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

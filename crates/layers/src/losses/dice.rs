//! The Dice loss.

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;
use serde_json::Value;

use super::define::{like, overlap_axes};
use crate::formulas::EPSILON;
use crate::settings::axes;
use crate::{Configured, Loss};

settings! {
    /// 1 − 2 Σ target · prediction / (Σ target + Σ prediction + 10⁻⁷), in [0, 1]: how little two
    /// regions overlap.
    ///
    /// Keras: <https://keras.io/api/losses/segmentation_losses/#dice-class>.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Dice as "keras.losses.Dice" {
        /// The axes that are summed over; Keras' default is all, so that there is one number for the
        /// whole batch. `[1, 2, 3]` gives each image of a batch its own.
        pub axis: Option<Vec<isize>> = None,
    }
    writing |it, config| {
        config["axis"] = it.axis.as_deref().map_or(Value::Null, axes);
    }
}

impl Loss for Dice {
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail> {
        like(predictions)
    }

    fn call<'g>(&self, targets: Var<'g>, predictions: Var<'g>) -> Var<'g> {
        let Some(axes) = overlap_axes(self.class_name(), predictions, &self.axis) else {
            return predictions;
        };
        let both = (targets * predictions).sum(&axes);
        let sizes = targets.sum(&axes) + predictions.sum(&axes);
        1.0 - both * 2.0 / (sizes + EPSILON)
    }
}

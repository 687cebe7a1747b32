//! `soft_shrink`.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::define;
use super::piecewise_linear::{PiecewiseLinear, piecewise};
use crate::settings::{self, FromSettings, Settings};
use crate::{ActivationFunction, Configured};

/// x − `threshold` where x > threshold, x + threshold where x < −threshold, else 0, in (−∞, ∞).
///
/// Keras: <https://keras.io/api/layers/activations/#soft_shrink-function>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftShrink {
    /// How much it shrinks; Keras' default is 0.5.
    pub threshold: f32,
}

impl Default for SoftShrink {
    fn default() -> Self {
        SoftShrink { threshold: 0.5 }
    }
}

impl Configured for SoftShrink {
    fn class_name(&self) -> &str {
        "soft_shrink"
    }

    fn module(&self) -> &str {
        define::module(*self == Self::default())
    }

    fn config(&self) -> Map<String, Value> {
        if *self == Self::default() {
            return Map::new();
        }
        Map::from_iter([("threshold".to_string(), settings::number(self.threshold))])
    }

    fn check(&self) -> Result<(), Detail> {
        settings::require_rate("soft_shrink.threshold", self.threshold)
    }
}

impl FromSettings for SoftShrink {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = SoftShrink::default();
        settings.ignore(define::LAYER_SETTINGS);
        Ok(SoftShrink {
            threshold: settings.number("threshold", default.threshold)?,
        })
    }
}

impl PiecewiseLinear for SoftShrink {
    const NAME: &'static str = "soft_shrink";
    const GRADIENT: &'static str = "soft_shrink_gradient";

    regraft_autograd::attributes!(threshold);

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x - x.clamp(-self.threshold, self.threshold)
    }

    #[inline(always)]
    fn slope(self, x: f32) -> f32 {
        if x.abs() > self.threshold { 1.0 } else { 0.0 }
    }
}

impl ActivationFunction for SoftShrink {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        piecewise(*self, x)
    }
}

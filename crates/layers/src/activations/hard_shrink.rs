//! `hard_shrink`.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::define;
use super::piecewise_linear::{PiecewiseLinear, piecewise};
use crate::settings::{self, FromSettings, Settings};
use crate::{ActivationFunction, Configured};

/// x where |x| > `threshold`, else 0, in (−∞, ∞).
///
/// Keras: <https://keras.io/api/layers/activations/#hard_shrink-function>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HardShrink {
    /// The largest magnitude that becomes 0; Keras' default is 0.5.
    pub threshold: f32,
}

impl Default for HardShrink {
    fn default() -> Self {
        HardShrink { threshold: 0.5 }
    }
}

impl Configured for HardShrink {
    fn class_name(&self) -> &str {
        "hard_shrink"
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
        settings::require_rate("hard_shrink.threshold", self.threshold)
    }
}

impl FromSettings for HardShrink {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = HardShrink::default();
        settings.ignore(define::LAYER_SETTINGS);
        Ok(HardShrink {
            threshold: settings.number("threshold", default.threshold)?,
        })
    }
}

impl PiecewiseLinear for HardShrink {
    const NAME: &'static str = "hard_shrink";
    const GRADIENT: &'static str = "hard_shrink_gradient";

    regraft_autograd::attributes!(threshold);

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x * self.slope(x)
    }

    #[inline(always)]
    fn slope(self, x: f32) -> f32 {
        if x.abs() > self.threshold { 1.0 } else { 0.0 }
    }
}

impl ActivationFunction for HardShrink {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        piecewise(*self, x)
    }
}

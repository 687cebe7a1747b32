//! `threshold`.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::define::{LAYER_SETTINGS, OWN_MODULE};
use super::piecewise_linear::{PiecewiseLinear, piecewise};
use crate::settings::{self, FromSettings, Settings};
use crate::{ActivationFunction, Configured};

/// x where x > `threshold`, else `default_value`. Neither setting has a default.
///
/// Keras: <https://keras.io/api/layers/activations/#threshold-function>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// What x must be above to pass.
    pub threshold: f32,
    /// What takes its place otherwise.
    pub default_value: f32,
}

impl Configured for Threshold {
    fn class_name(&self) -> &str {
        "threshold"
    }

    fn module(&self) -> &str {
        OWN_MODULE
    }

    fn config(&self) -> Map<String, Value> {
        let default_value = settings::number(self.default_value);
        Map::from_iter([
            ("threshold".to_string(), settings::number(self.threshold)),
            ("default_value".to_string(), default_value),
        ])
    }

    fn check(&self) -> Result<(), Detail> {
        settings::require_finite("threshold.threshold", self.threshold)?;
        settings::require_finite("threshold.default_value", self.default_value)
    }
}

impl FromSettings for Threshold {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        settings.ignore(LAYER_SETTINGS);
        Ok(Threshold {
            threshold: settings.required_number("threshold")?,
            default_value: settings.required_number("default_value")?,
        })
    }
}

impl PiecewiseLinear for Threshold {
    const NAME: &'static str = "threshold";
    const GRADIENT: &'static str = "threshold_gradient";

    regraft_autograd::attributes!(threshold, default_value);

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        if x > self.threshold {
            x
        } else {
            self.default_value
        }
    }

    #[inline(always)]
    fn slope(self, x: f32) -> f32 {
        if x > self.threshold { 1.0 } else { 0.0 }
    }
}

impl ActivationFunction for Threshold {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        piecewise(*self, x)
    }
}

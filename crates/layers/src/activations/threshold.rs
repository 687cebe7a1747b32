//! `threshold`.

use regraft_autograd::Var;
use regraft_tensor::Detail;

use super::piecewise_linear::{PiecewiseLinear, piecewise};
use crate::settings::{FromSettings, Map, Settings, require_finite};
use crate::{ActivationFunction, Class, Configured, Setting};

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
    fn class(&self) -> Class<'_> {
        Class::new("regraft.activations.threshold")
    }

    fn config(&self) -> Map {
        Map::from_iter([
            ("threshold".to_string(), self.threshold.write()),
            ("default_value".to_string(), self.default_value.write()),
        ])
    }

    fn check(&self) -> Result<(), Detail> {
        require_finite("threshold.threshold", self.threshold)?;
        require_finite("threshold.default_value", self.default_value)
    }
}

impl FromSettings for Threshold {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(Threshold {
            threshold: settings.required("threshold")?,
            default_value: settings.required("default_value")?,
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

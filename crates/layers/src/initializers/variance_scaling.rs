//! Initializers whose spread follows from the number of connections.

use regraft_tensor::kernels::random::Key;
use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value, json};

use super::{RandomNormal, RandomUniform, TruncatedNormal};
use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, InitializerFunction};

/// Which number of connections the spread follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FanMode {
    /// The number of inputs of an output.
    #[default]
    FanIn,
    /// The number of outputs of an input.
    FanOut,
    /// The mean of both.
    FanAvg,
}

/// What the numbers are like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Distribution {
    /// Normal, cut off at two standard deviations (and spread as much wider).
    #[default]
    TruncatedNormal,
    /// Normal.
    UntruncatedNormal,
    /// Uniform.
    Uniform,
}

impl FanMode {
    const NAMES: [(Self, &'static str); 3] = [
        (FanMode::FanIn, "fan_in"),
        (FanMode::FanOut, "fan_out"),
        (FanMode::FanAvg, "fan_avg"),
    ];
}

impl Distribution {
    const NAMES: [(Self, &'static str); 4] = [
        (Distribution::TruncatedNormal, "truncated_normal"),
        (Distribution::UntruncatedNormal, "untruncated_normal"),
        (Distribution::Uniform, "uniform"),
        // As older Keras wrote it.
        (Distribution::TruncatedNormal, "normal"),
    ];
}

/// Numbers of mean 0 and variance `scale / n`, where n is the number of connections that `mode`
/// says.
///
/// The connections of a kernel are the last two axes (inputs, outputs), times the axes before (the
/// size of a convolution's window); those of a vector are its length. Keras:
/// <https://keras.io/api/layers/initializers/#variancescaling-class>.
#[derive(Clone, Debug, PartialEq)]
pub struct VarianceScaling {
    /// The variance times n; Keras' default is 1.
    pub scale: f32,
    /// What n is; Keras' default is the number of inputs.
    pub mode: FanMode,
    /// What the numbers are like; Keras' default is the truncated normal distribution.
    pub distribution: Distribution,
    /// The axes whose sizes multiply to the number of inputs, if both these and
    /// [`output_axes`](Self::output_axes) are given.
    pub input_axes: Option<Vec<isize>>,
    /// The axes whose sizes multiply to the number of outputs.
    pub output_axes: Option<Vec<isize>>,
}

impl Default for VarianceScaling {
    fn default() -> Self {
        VarianceScaling {
            scale: 1.0,
            mode: FanMode::default(),
            distribution: Distribution::default(),
            input_axes: None,
            output_axes: None,
        }
    }
}

impl VarianceScaling {
    /// With the last two axes as inputs and outputs.
    pub fn new(scale: f32, mode: FanMode, distribution: Distribution) -> Self {
        VarianceScaling {
            scale,
            mode,
            distribution,
            ..VarianceScaling::default()
        }
    }

    /// Reads the axes, which the initializers named after their inventors have too.
    pub(super) fn axes_from(mut self, settings: &Settings<'_>) -> Result<Self, Detail> {
        settings.ignore(&["seed", "dtype"]);
        self.input_axes = settings.axes("input_axes")?;
        self.output_axes = settings.axes("output_axes")?;
        Ok(self)
    }

    fn fans(&self, shape: &[usize]) -> Result<(f64, f64), Detail> {
        if let (Some(inputs), Some(outputs)) = (&self.input_axes, &self.output_axes) {
            let product = |axes: &[isize]| -> Result<f64, Detail> {
                let axes = settings::resolve(axes, shape.len())?;
                Ok(axes.iter().map(|&axis| shape[axis] as f64).product())
            };
            return Ok((product(inputs)?, product(outputs)?));
        }
        Ok(match *shape {
            [] => (1.0, 1.0),
            [size] => (size as f64, size as f64),
            [ref window @ .., inputs, outputs] => {
                let window: f64 = window.iter().map(|&size| size as f64).product();
                (window * inputs as f64, window * outputs as f64)
            }
        })
    }
}

impl Configured for VarianceScaling {
    fn class_name(&self) -> &str {
        "VarianceScaling"
    }

    fn module(&self) -> &str {
        "keras.initializers"
    }

    fn config(&self) -> Map<String, Value> {
        let mode = FanMode::NAMES.iter().find(|(mode, _)| *mode == self.mode);
        let distribution = Distribution::NAMES
            .iter()
            .find(|(distribution, _)| *distribution == self.distribution);
        Map::from_iter([
            ("seed".to_string(), json!(null)),
            ("scale".to_string(), settings::number(self.scale)),
            ("mode".to_string(), json!(mode.map(|(_, name)| name))),
            (
                "distribution".to_string(),
                json!(distribution.map(|(_, name)| name)),
            ),
            ("input_axes".to_string(), json!(self.input_axes)),
            ("output_axes".to_string(), json!(self.output_axes)),
        ])
    }

    fn check(&self) -> Result<(), Detail> {
        let holds = self.scale.is_finite() && self.scale > 0.0;
        settings::require(
            holds,
            "VarianceScaling.scale",
            "a number above 0",
            self.scale,
        )
    }
}

impl FromSettings for VarianceScaling {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = VarianceScaling::default();
        let scale = settings.number("scale", default.scale)?;
        let mode = settings.one_of("mode", &FanMode::NAMES)?;
        let distribution = settings.one_of("distribution", &Distribution::NAMES)?;
        VarianceScaling::new(scale, mode, distribution).axes_from(settings)
    }
}

impl InitializerFunction for VarianceScaling {
    fn initialize(&self, shape: &[usize], key: Key) -> Result<Tensor, Detail> {
        let (inputs, outputs) = self.fans(shape)?;
        let connections = match self.mode {
            FanMode::FanIn => inputs,
            FanMode::FanOut => outputs,
            FanMode::FanAvg => (inputs + outputs) / 2.0,
        };
        let deviation = (f64::from(self.scale) / connections.max(1.0)).sqrt();
        match self.distribution {
            Distribution::TruncatedNormal => TruncatedNormal {
                mean: 0.0,
                // The standard deviation of a standard normal number within [−2, 2].
                stddev: (deviation / 0.879_625_661_034_239_8) as f32,
            }
            .initialize(shape, key),
            Distribution::UntruncatedNormal => RandomNormal {
                mean: 0.0,
                stddev: deviation as f32,
            }
            .initialize(shape, key),
            Distribution::Uniform => {
                let limit = (3.0_f64.sqrt() * deviation) as f32;
                RandomUniform {
                    minval: -limit,
                    maxval: limit,
                }
                .initialize(shape, key)
            }
        }
    }
}

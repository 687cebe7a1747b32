//! Initializers whose spread follows from the number of connections.

use regraft_tensor::kernels::random::Key;
use regraft_tensor::{Detail, Tensor};
use serde_json::Value;

use super::{RandomNormal, RandomUniform, TruncatedNormal};
use crate::InitializerFunction;
use crate::settings::{named, require_positive, resolve};

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

named!(FanMode: FanIn = "fan_in", FanOut = "fan_out", FanAvg = "fan_avg");
named!(
    Distribution: TruncatedNormal = "truncated_normal", UntruncatedNormal = "untruncated_normal",
    Uniform = "uniform";
    // As older Keras wrote it.
    TruncatedNormal = "normal"
);

settings! {
    /// Numbers of mean 0 and variance `scale / n`, where n is the number of connections that `mode`
    /// says.
    ///
    /// The connections of a kernel are the last two axes (inputs, outputs), times the axes before (the
    /// size of a convolution's window); those of a vector are its length. Keras:
    /// <https://keras.io/api/layers/initializers/#variancescaling-class>.
    #[derive(Clone, Debug, PartialEq)]
    pub struct VarianceScaling as "keras.initializers.VarianceScaling" {
        /// The variance times n; Keras' default is 1.
        pub scale: f32 = 1.0 => require_positive,
        /// What n is; Keras' default is the number of inputs.
        pub mode: FanMode = FanMode::FanIn,
        /// What the numbers are like; Keras' default is the truncated normal distribution.
        pub distribution: Distribution = Distribution::TruncatedNormal,
        /// The axes whose sizes multiply to the number of inputs, if both these and
        /// [`output_axes`](Self::output_axes) are given.
        pub input_axes: Option<Vec<isize>> = None,
        /// The axes whose sizes multiply to the number of outputs.
        pub output_axes: Option<Vec<isize>> = None,
    }
    reading |settings, _it| {
        settings.ignore(&["seed", "dtype"]);
    }
    writing |_it, config| {
        config.shift_insert(0, "seed".to_string(), Value::Null);
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

    fn fans(&self, shape: &[usize]) -> Result<(f64, f64), Detail> {
        if let (Some(inputs), Some(outputs)) = (&self.input_axes, &self.output_axes) {
            let product = |axes: &[isize]| -> Result<f64, Detail> {
                let axes = resolve(axes, shape.len())?;
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

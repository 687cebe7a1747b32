//! Normalization of each sample by its root mean square.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::support::{along, axes_of, fixed_axes, object, single};
use crate::settings::{FromSettings, Settings, number, require_rate};
use crate::{Call, Flow, Initializer, Layer, Weights};

/// `y = scale · x / √(mean(x²) + epsilon)`, the mean of each sample over `axis`.
///
/// | | |
/// |---|---|
/// | input, output | `(batch, …)`, the same |
/// | weights | `scale`, with the sizes of `axis`, 1 at first |
/// | defaults | last axis, epsilon 1e-6 |
/// | frozen | computes the same; scale is a constant |
///
/// Zhang and Sennrich 2019.
/// Keras: <https://keras.io/api/layers/normalization_layers/rms_normalization/>.
#[derive(Clone, Debug)]
pub struct RMSNormalization {
    axis: Vec<isize>,
    epsilon: f32,
}

impl Default for RMSNormalization {
    fn default() -> Self {
        RMSNormalization {
            axis: vec![-1],
            epsilon: 1e-6,
        }
    }
}

impl RMSNormalization {
    /// A layer with Keras' defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The axes normalized over; negative ones count from the end.
    #[must_use]
    pub fn axis(mut self, axis: impl AsRef<[isize]>) -> Self {
        self.axis = axis.as_ref().to_vec();
        self
    }

    /// What is added to the mean square.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.epsilon = epsilon;
        self
    }
}

impl Layer for RMSNormalization {
    fn class_name(&self) -> &str {
        "RMSNormalization"
    }

    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        require_rate("epsilon", self.epsilon)?;
        let (axes, sizes) = fixed_axes(&self.axis, single(inputs)?)?;
        weights
            .parameter("scale", &sizes, &Initializer::ones())
            .along(&axes);
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        let axes = axes_of(&self.axis, x);
        let root = (x.square().mean_keeping(&axes) + self.epsilon).sqrt();
        x / root * along(call.weight("scale"), &axes, x)
    }

    fn config(&self) -> Map<String, Value> {
        object(json!({ "axis": self.axis, "epsilon": number(self.epsilon) }))
    }
}

impl FromSettings for RMSNormalization {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(RMSNormalization {
            axis: settings.axes("axis")?.unwrap_or_else(|| vec![-1]),
            epsilon: settings.number("epsilon", 1e-6)?,
        })
    }
}

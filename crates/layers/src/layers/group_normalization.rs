//! Normalization of each sample in groups of channels.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::convolution_options::{WeightOptions, weight_methods};
use super::support::{along, axes_of, fixed_axes, object, single};
use crate::settings::{FromSettings, Settings, number, require, require_rate};
use crate::{Call, Constraint, Flow, Initializer, Layer, Regularizer, Weights};

/// `y = gamma · (x − mean) / √(variance + epsilon) + beta`, with the mean and the (population) variance
/// of each sample over all axes, for each of `groups` groups of neighbouring channels.
///
/// | | |
/// |---|---|
/// | input, output | `(batch, …, channels)`, the same |
/// | weights | `gamma`, `beta`, `(channels,)` each, 1 and 0 at first |
/// | defaults | 32 groups, last axis, epsilon 0.001 |
/// | frozen | computes the same; gamma and beta are constants |
///
/// With −1 groups every channel is one (instance normalization).
///
/// Wu and He 2018.
/// Keras: <https://keras.io/api/layers/normalization_layers/group_normalization/>.
#[derive(Clone, Debug)]
pub struct GroupNormalization {
    groups: isize,
    axis: isize,
    epsilon: f32,
    center: bool,
    scale: bool,
    beta: WeightOptions,
    gamma: WeightOptions,
}

impl Default for GroupNormalization {
    fn default() -> Self {
        GroupNormalization::new(32)
    }
}

impl GroupNormalization {
    /// A layer with this number of groups, or −1 for one per channel.
    pub fn new(groups: isize) -> Self {
        GroupNormalization {
            groups,
            axis: -1,
            epsilon: 1e-3,
            center: true,
            scale: true,
            beta: WeightOptions::new("zeros"),
            gamma: WeightOptions::new("ones"),
        }
    }

    /// The axis of the channels; negative ones count from the end.
    #[must_use]
    pub fn axis(mut self, axis: isize) -> Self {
        self.axis = axis;
        self
    }

    /// What is added to the variance.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Whether there is a `beta`.
    #[must_use]
    pub fn center(mut self, center: bool) -> Self {
        self.center = center;
        self
    }

    /// Whether there is a `gamma`.
    #[must_use]
    pub fn scale(mut self, scale: bool) -> Self {
        self.scale = scale;
        self
    }

    weight_methods!(
        beta,
        "beta",
        beta_initializer,
        beta_regularizer,
        beta_constraint
    );
    weight_methods!(
        gamma,
        "gamma",
        gamma_initializer,
        gamma_regularizer,
        gamma_constraint
    );

    /// The number of groups of so many channels.
    fn count(&self, channels: usize) -> Option<usize> {
        match self.groups {
            -1 => Some(channels),
            groups => usize::try_from(groups).ok(),
        }
    }
}

impl Layer for GroupNormalization {
    fn class_name(&self) -> &str {
        "GroupNormalization"
    }

    fn flow(&self) -> Flow {
        // Which channels make a group depends on their order.
        Flow::Image {
            channels_first: self.axis == 1,
        }
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        require_rate("epsilon", self.epsilon)?;
        let (axes, channels) = fixed_axes(&[self.axis], single(inputs)?)?;
        let count = self.count(channels[0]);
        let fits = count.is_some_and(|count| count > 0 && channels[0].is_multiple_of(count));
        let expected = format!("a divisor of the {} channels, or -1", channels[0]);
        require(fits, "groups", &expected, self.groups)?;
        if self.scale {
            self.gamma.declare("gamma", &channels, weights).along(&axes);
        }
        if self.center {
            self.beta.declare("beta", &channels, weights).along(&axes);
        }
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        let (shape, axes) = (x.shape(), axes_of(&[self.axis], x));
        let Some(&axis) = axes.first() else { return x };
        // The groups as an axis of their own, before that of their channels.
        let channels = shape.dims()[axis].size(0);
        let groups = self.count(channels).unwrap_or(1).max(1);
        let mut grouped = shape.dims().to_vec();
        grouped[axis] = Dim::Fixed(channels / groups);
        grouped.insert(axis, Dim::Fixed(groups));
        let others: Vec<usize> = (1..grouped.len()).filter(|&other| other != axis).collect();
        let values = x.reshape(grouped);
        let centered = values - values.mean_keeping(&others);
        let variance = centered.square().mean_keeping(&others);
        let mut y = (centered / (variance + self.epsilon).sqrt()).reshape(&shape);
        if self.scale {
            y = y * along(call.weight("gamma"), &axes, x);
        }
        if self.center {
            y = y + along(call.weight("beta"), &axes, x);
        }
        y
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = object(json!({
            "groups": self.groups,
            "axis": self.axis,
            "epsilon": number(self.epsilon),
            "center": self.center,
            "scale": self.scale,
        }));
        self.beta.write("beta", &mut config);
        self.gamma.write("gamma", &mut config);
        config
    }
}

impl FromSettings for GroupNormalization {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let beta = ["beta_initializer", "beta_regularizer", "beta_constraint"];
        let gamma = ["gamma_initializer", "gamma_regularizer", "gamma_constraint"];
        Ok(GroupNormalization {
            groups: settings.axis("groups", 32)?,
            axis: settings.axis("axis", -1)?,
            epsilon: settings.number("epsilon", 1e-3)?,
            center: settings.flag("center", true)?,
            scale: settings.flag("scale", true)?,
            beta: WeightOptions::from_settings(settings, beta, "zeros")?,
            gamma: WeightOptions::from_settings(settings, gamma, "ones")?,
        })
    }
}

//! Normalization of each sample in groups of channels.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;

use super::support::{along, axes_of, fixed_axes, single};
use crate::settings::{require, require_rate};
use crate::{Call, Constraint, Flow, Initializer, Layer, Regularizer, Weights};

settings! {
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
    pub struct GroupNormalization as "keras.layers.GroupNormalization" {
        /// A layer with this number of groups, or −1 for one per channel.
        new(groups: isize = 32)
        groups: isize = groups,
        /// The axis of the channels; negative ones count from the end.
        axis: isize = -1,
        /// What is added to the variance.
        epsilon: f32 = 1e-3 => require_rate,
        /// Whether there is a `beta`.
        center: bool = true,
        /// Whether there is a `gamma`.
        scale: bool = true,
        /// Where beta starts.
        beta_initializer: Initializer = "zeros",
        /// A penalty on beta.
        beta_regularizer: Option<Regularizer> = None,
        /// What holds for beta after each update.
        beta_constraint: Option<Constraint> = None,
        /// Where gamma starts.
        gamma_initializer: Initializer = "ones",
        /// A penalty on gamma.
        gamma_regularizer: Option<Regularizer> = None,
        /// What holds for gamma after each update.
        gamma_constraint: Option<Constraint> = None,
    }
}

impl GroupNormalization {
    /// The number of groups of so many channels.
    fn count(&self, channels: usize) -> Option<usize> {
        match self.groups {
            -1 => Some(channels),
            groups => usize::try_from(groups).ok(),
        }
    }
}

impl Layer for GroupNormalization {
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
            weights
                .parameter("gamma", &channels, &self.gamma_initializer)
                .regularizer(&self.gamma_regularizer)
                .constraint(&self.gamma_constraint)
                .along(&axes);
        }
        if self.center {
            weights
                .parameter("beta", &channels, &self.beta_initializer)
                .regularizer(&self.beta_regularizer)
                .constraint(&self.beta_constraint)
                .along(&axes);
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
}

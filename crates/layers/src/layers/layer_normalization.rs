//! Normalization of each sample by itself.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::support::{along, axes_of, fixed_axes, single};
use crate::settings::require_rate;
use crate::{Call, Constraint, Flow, Initializer, Layer, Regularizer, Weights};

settings! {
    /// `y = gamma · (x − mean) / √(variance + epsilon) + beta` with mean and (population) variance of
    /// each sample over `axis`.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, …)`, the same |
    /// | weights | `gamma`, `beta`, with the sizes of `axis` |
    /// | defaults | last axis, epsilon 0.001, gamma 1, beta 0 |
    /// | frozen | computes the same; gamma and beta are constants |
    ///
    /// Ba, Kiros and Hinton 2016.
    /// Keras: <https://keras.io/api/layers/normalization_layers/layer_normalization/>.
    #[derive(Clone, Debug)]
    pub struct LayerNormalization as "keras.layers.LayerNormalization" {
        /// A layer with Keras' defaults.
        new()
        /// The axes normalized over; negative ones count from the end.
        axis: Vec<isize> = [-1],
        /// What is added to the variance.
        epsilon: f32 = 1e-3 => require_rate,
        /// Whether there is a `beta`.
        center: bool = true,
        /// Whether there is a `gamma`.
        scale: bool = true,
        /// Keras' deprecated variant: `y = gamma · x / √(variance + epsilon)`, without beta. For root
        /// mean squares there is [`RMSNormalization`](crate::layers::RMSNormalization).
        rms_scaling: bool = false,
        /// Where beta starts.
        beta_initializer: Initializer = "zeros",
        /// Where gamma starts.
        gamma_initializer: Initializer = "ones",
        /// A penalty on beta.
        beta_regularizer: Option<Regularizer> = None,
        /// A penalty on gamma.
        gamma_regularizer: Option<Regularizer> = None,
        /// What holds for beta after each update.
        beta_constraint: Option<Constraint> = None,
        /// What holds for gamma after each update.
        gamma_constraint: Option<Constraint> = None,
    }
}

impl Layer for LayerNormalization {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        require_rate("epsilon", self.epsilon)?;
        let (axes, sizes) = fixed_axes(&self.axis, single(inputs)?)?;
        if self.scale || self.rms_scaling {
            weights
                .parameter("gamma", &sizes, &self.gamma_initializer)
                .regularizer(&self.gamma_regularizer)
                .constraint(&self.gamma_constraint)
                .along(&axes);
        }
        if self.center && !self.rms_scaling {
            weights
                .parameter("beta", &sizes, &self.beta_initializer)
                .regularizer(&self.beta_regularizer)
                .constraint(&self.beta_constraint)
                .along(&axes);
        }
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        let axes = axes_of(&self.axis, x);
        let centered = x - x.mean_keeping(&axes);
        let variance = centered.square().mean_keeping(&axes);
        let deviation = (variance + self.epsilon).sqrt();
        let mut y = match self.rms_scaling {
            true => x / deviation,
            false => centered / deviation,
        };
        if self.scale || self.rms_scaling {
            y = y * along(call.weight("gamma"), &axes, x);
        }
        if self.center && !self.rms_scaling {
            y = y + along(call.weight("beta"), &axes, x);
        }
        y
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }
}

//! Normalization with the statistics of the batch, and with moving ones afterwards.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::{Detail, Tensor};

use super::support::{OneAxis, along, axes_of, fixed_axes, other_axes, single};
use crate::models::masks::along_features;
use crate::settings::{require, require_rate, require_share};
use crate::{Call, Constraint, Flow, Initializer, Layer, Regularizer, Weights};

settings! {
    /// `y = gamma · (x − mean) / √(variance + epsilon) + beta`, feature by feature.
    ///
    /// While it trains, `mean` and `variance` (the population variance) are those of the batch over all
    /// axes but `axis`, leaving out steps that a mask says do not count, and the moving statistics follow them:
    /// `moving = moving · momentum + batch · (1 − momentum)`. Otherwise they are the moving statistics.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, …, features)`, the same |
    /// | weights | `gamma`, `beta` (parameters), `moving_mean`, `moving_variance` (state), `(features,)` each |
    /// | defaults | last axis, momentum 0.99, epsilon 0.001, gamma and moving variance 1, beta and moving mean 0 |
    /// | frozen | uses the moving statistics and leaves them as they are; then `y = x · scale + offset` with constants, which fold into the layer before |
    /// | [`FrozenStatistics`](crate::Freezing::FrozenStatistics) | the same, with gamma and beta trained; what unfreezing a base gives |
    ///
    /// Read from a file of Keras 2 it computes images (four or five axes, with the features first or last) as
    /// TensorFlow's fused kernel does there: no step is left out, and the moving variance follows that of a sample,
    /// `n / (n − 1)` of the batch's.
    ///
    /// Ioffe and Szegedy 2015.
    /// Keras: <https://keras.io/api/layers/normalization_layers/batch_normalization/>.
    #[derive(Clone, Debug)]
    pub struct BatchNormalization as "keras.layers.BatchNormalization" {
        /// A layer with Keras' defaults.
        new()
        /// The axis of the features; negative ones count from the end.
        axis: OneAxis = -1,
        /// How much of the moving statistics stays at each step (PyTorch's momentum is 1 minus this).
        momentum: f32 = 0.99 => require_share,
        /// What is added to the variance.
        epsilon: f32 = 1e-3 => require_rate,
        /// Whether there is a `beta`.
        center: bool = true,
        /// Whether there is a `gamma`.
        scale: bool = true,
        /// Where beta starts.
        beta_initializer: Initializer = "zeros",
        /// Where gamma starts.
        gamma_initializer: Initializer = "ones",
        /// Where the moving mean starts.
        moving_mean_initializer: Initializer = "zeros",
        /// Where the moving variance starts.
        moving_variance_initializer: Initializer = "ones",
        /// A penalty on beta.
        beta_regularizer: Option<Regularizer> = None,
        /// A penalty on gamma.
        gamma_regularizer: Option<Regularizer> = None,
        /// What holds for beta after each update.
        beta_constraint: Option<Constraint> = None,
        /// What holds for gamma after each update.
        gamma_constraint: Option<Constraint> = None,
        /// Whether the moving variance follows the batch's `Σ (x − mean)² / (n − 1)`, as in PyTorch, and not
        /// that with `/ n`. Keras' layer has no such setting; files have it beside Keras' own.
        unbiased: bool = false,
    }
    reading |settings, _it| {
        settings.unsupported(&["synchronized", "renorm", "virtual_batch_size", "adjustment"])?;
        // Of use with `renorm` alone, and how Keras 1 and 2 ran it.
        settings.ignore(&["renorm_clipping", "renorm_momentum", "fused"]);
    }
    writing |it, config| {
        config.insert("synchronized".to_string(), false.into());
        if !it.unbiased {
            config.remove("unbiased");
        }
    }
}

impl BatchNormalization {
    /// Normalizes with the statistics of the batch, and lets the moving ones follow.
    fn train<'g>(&self, call: &Call<'g, '_>, x: Var<'g>, axes: &[usize]) -> Var<'g> {
        let others = other_axes(axes, x);
        let mask = call.mask(0).filter(|_| !self.is_fused(call, x, axes));
        let [mean, centered, variance] = match mask {
            None if axes == [x.shape().rank() - 1] => return self.train_last_axis(call, x, axes),
            None => {
                let mean = x.mean_keeping(&others);
                let centered = x - mean;
                [mean, centered, centered.square().mean_keeping(&others)]
            }
            Some(mask) => moments_of_counting(x, along_features(mask, x), &others),
        };
        self.follow(call, x, axes, [mean, variance]);
        let mut scale = 1.0 / (variance + self.epsilon).sqrt();
        if self.scale {
            scale = scale * along(call.weight("gamma"), axes, x);
        }
        let scaled = centered * scale;
        match self.center {
            true => scaled + along(call.weight("beta"), axes, x),
            false => scaled,
        }
    }

    /// As [`train`](Self::train), with the ops that there are for channels that lie last.
    fn train_last_axis<'g>(&self, call: &Call<'g, '_>, x: Var<'g>, axes: &[usize]) -> Var<'g> {
        let moving = call.weight("moving_mean");
        let weight = |is_there: bool, name: &str, otherwise: f32| match is_there {
            true => call.weight(name),
            false => {
                let features = moving.shape().fixed().expect("weights have no batch");
                x.graph().constant(Tensor::full(features, otherwise))
            }
        };
        let gamma = weight(self.scale, "gamma", 1.0);
        let beta = weight(self.center, "beta", 0.0);
        let (y, mean, variance) = x.batch_normalize(gamma, beta, self.epsilon);
        self.follow(call, x, axes, [mean, variance]);
        y
    }

    /// Lets the moving statistics follow those of the batch `x`.
    fn follow<'g>(
        &self,
        call: &Call<'g, '_>,
        x: Var<'g>,
        axes: &[usize],
        [mean, mut variance]: [Var<'g>; 2],
    ) {
        let is_fused = self.is_fused(call, x, axes);
        if self.unbiased || is_fused {
            let others = other_axes(axes, x);
            let count = match call.mask(0).filter(|_| !is_fused) {
                Some(mask) => {
                    let mut counted = x.shape().dims().to_vec();
                    axes.iter().for_each(|&axis| counted[axis] = Dim::Fixed(1));
                    let mask = along_features(mask, x).broadcast_to(counted);
                    mask.sum_keeping(&others).reshape([1])
                }
                None => {
                    let shape = x.shape();
                    let others = others.into_iter().map(|axis| shape.dims()[axis]);
                    x.graph().full(Shape::from_iter(others), 1.0).sum_all()
                }
            };
            variance = variance * (count / (count - 1.0).maximum(1.0));
        }
        for (name, statistic) in [("moving_mean", mean), ("moving_variance", variance)] {
            let moving = call.weight(name);
            let statistic = statistic.reshape(moving.shape()) * (1.0 - self.momentum);
            call.update(name, moving * self.momentum + statistic);
        }
    }

    /// Whether Keras 2 has TensorFlow's fused kernel compute it.
    fn is_fused(&self, call: &Call<'_, '_>, x: Var<'_>, axes: &[usize]) -> bool {
        let rank = x.shape().rank();
        let is_image = matches!(rank, 4 | 5) && (axes == [1] || axes == [rank - 1]);
        call.as_keras2() && is_image && call.entry().policy.as_deref() != Some("float64")
    }

    /// `x · scale + offset` with both from weights alone: of a frozen layer, constants.
    fn infer<'g>(&self, call: &Call<'g, '_>, x: Var<'g>, axes: &[usize]) -> Var<'g> {
        let mut scale = 1.0 / (call.weight("moving_variance") + self.epsilon).sqrt();
        if self.scale {
            scale = scale * call.weight("gamma");
        }
        let mut offset = -(call.weight("moving_mean") * scale);
        if self.center {
            offset = offset + call.weight("beta");
        }
        x * along(scale, axes, x) + along(offset, axes, x)
    }
}

/// The mean over `axes`, the differences from it, and the variance, of the elements that count.
fn moments_of_counting<'g>(x: Var<'g>, mask: Var<'g>, axes: &[usize]) -> [Var<'g>; 3] {
    // Keras' fuzz factor, which is there so that a batch of padding alone has statistics.
    const EPSILON: f32 = 1e-7;
    let mask = mask.broadcast_to(x.shape());
    let count = mask.sum_keeping(axes) + EPSILON;
    let mean = mask.select(x, 0.0).sum_keeping(axes) / count;
    let centered = x - mean;
    let squares = mask.select(centered, 0.0).square();
    [mean, centered, squares.sum_keeping(axes) / count]
}

impl Layer for BatchNormalization {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        require_rate("epsilon", self.epsilon)?;
        let fits = (0.0..=1.0).contains(&self.momentum);
        require(fits, "momentum", "a number from 0 to 1", self.momentum)?;
        let (axes, features) = fixed_axes(&[self.axis.0], single(inputs)?)?;
        if self.scale {
            weights
                .parameter("gamma", &features, &self.gamma_initializer)
                .regularizer(&self.gamma_regularizer)
                .constraint(&self.gamma_constraint)
                .along(&axes);
        }
        if self.center {
            weights
                .parameter("beta", &features, &self.beta_initializer)
                .regularizer(&self.beta_regularizer)
                .constraint(&self.beta_constraint)
                .along(&axes);
        }
        weights
            .state("moving_mean", &features, &self.moving_mean_initializer)
            .along(&axes);
        weights
            .state(
                "moving_variance",
                &features,
                &self.moving_variance_initializer,
            )
            .along(&axes);
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let axes = axes_of(&[self.axis.0], inputs[0]);
        match call.training() {
            true => self.train(call, inputs[0], &axes),
            false => self.infer(call, inputs[0], &axes),
        }
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }
}

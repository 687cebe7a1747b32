//! Normalization with the statistics of the batch, and with moving ones afterwards.

use regraft_autograd::{Shape, Var};
use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value, json};

use super::support::{
    along, axes_of, constraint, fixed_axes, object, other_axes, regularizer, single,
};
use crate::masks::along_features;
use crate::settings::{FromSettings, Settings, number, require, require_rate};
use crate::{Call, Constraint, Flow, Initializer, Layer, Regularizer, Weights};

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
/// Ioffe and Szegedy 2015.
/// Keras: <https://keras.io/api/layers/normalization_layers/batch_normalization/>.
#[derive(Clone, Debug)]
pub struct BatchNormalization {
    axis: isize,
    momentum: f32,
    epsilon: f32,
    center: bool,
    scale: bool,
    beta_initializer: Initializer,
    gamma_initializer: Initializer,
    moving_mean_initializer: Initializer,
    moving_variance_initializer: Initializer,
    beta_regularizer: Option<Regularizer>,
    gamma_regularizer: Option<Regularizer>,
    beta_constraint: Option<Constraint>,
    gamma_constraint: Option<Constraint>,
}

impl Default for BatchNormalization {
    fn default() -> Self {
        BatchNormalization {
            axis: -1,
            momentum: 0.99,
            epsilon: 1e-3,
            center: true,
            scale: true,
            beta_initializer: "zeros".into(),
            gamma_initializer: "ones".into(),
            moving_mean_initializer: "zeros".into(),
            moving_variance_initializer: "ones".into(),
            beta_regularizer: None,
            gamma_regularizer: None,
            beta_constraint: None,
            gamma_constraint: None,
        }
    }
}

impl BatchNormalization {
    /// A layer with Keras' defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The axis of the features; negative ones count from the end.
    #[must_use]
    pub fn axis(mut self, axis: isize) -> Self {
        self.axis = axis;
        self
    }

    /// How much of the moving statistics stays at each step (PyTorch's momentum is 1 minus this).
    #[must_use]
    pub fn momentum(mut self, momentum: f32) -> Self {
        self.momentum = momentum;
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

    /// Where beta starts.
    #[must_use]
    pub fn beta_initializer(mut self, initializer: impl Into<Initializer>) -> Self {
        self.beta_initializer = initializer.into();
        self
    }

    /// Where gamma starts.
    #[must_use]
    pub fn gamma_initializer(mut self, initializer: impl Into<Initializer>) -> Self {
        self.gamma_initializer = initializer.into();
        self
    }

    /// Where the moving mean starts.
    #[must_use]
    pub fn moving_mean_initializer(mut self, initializer: impl Into<Initializer>) -> Self {
        self.moving_mean_initializer = initializer.into();
        self
    }

    /// Where the moving variance starts.
    #[must_use]
    pub fn moving_variance_initializer(mut self, initializer: impl Into<Initializer>) -> Self {
        self.moving_variance_initializer = initializer.into();
        self
    }

    /// A penalty on beta.
    #[must_use]
    pub fn beta_regularizer(mut self, regularizer: impl Into<Regularizer>) -> Self {
        self.beta_regularizer = Some(regularizer.into());
        self
    }

    /// A penalty on gamma.
    #[must_use]
    pub fn gamma_regularizer(mut self, regularizer: impl Into<Regularizer>) -> Self {
        self.gamma_regularizer = Some(regularizer.into());
        self
    }

    /// What holds for beta after each update.
    #[must_use]
    pub fn beta_constraint(mut self, constraint: impl Into<Constraint>) -> Self {
        self.beta_constraint = Some(constraint.into());
        self
    }

    /// What holds for gamma after each update.
    #[must_use]
    pub fn gamma_constraint(mut self, constraint: impl Into<Constraint>) -> Self {
        self.gamma_constraint = Some(constraint.into());
        self
    }

    /// Normalizes with the statistics of the batch, and lets the moving ones follow.
    fn train<'g>(&self, call: &Call<'g, '_>, x: Var<'g>, axes: &[usize]) -> Var<'g> {
        let others = other_axes(axes, x);
        let [mean, centered, variance] = match call.mask(0) {
            None if axes == [x.shape().rank() - 1] => return self.train_last_axis(call, x),
            None => {
                let mean = x.mean_keeping(&others);
                let centered = x - mean;
                [mean, centered, centered.square().mean_keeping(&others)]
            }
            Some(mask) => moments_of_counting(x, along_features(mask, x), &others),
        };
        self.follow(call, mean, variance);
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
    fn train_last_axis<'g>(&self, call: &Call<'g, '_>, x: Var<'g>) -> Var<'g> {
        let moving = call.weight("moving_mean");
        let weight = |is_there: bool, name: &str, otherwise: f32| match is_there {
            true => call.weight(name),
            false => {
                let features = moving.shape().fixed().unwrap_or_default();
                x.graph().constant(Tensor::full(features, otherwise))
            }
        };
        let gamma = weight(self.scale, "gamma", 1.0);
        let beta = weight(self.center, "beta", 0.0);
        let (y, mean, variance) = x.batch_normalize(gamma, beta, self.epsilon);
        self.follow(call, mean, variance);
        y
    }

    /// Lets the moving statistics follow those of the batch.
    fn follow<'g>(&self, call: &Call<'g, '_>, mean: Var<'g>, variance: Var<'g>) {
        for (name, statistic) in [("moving_mean", mean), ("moving_variance", variance)] {
            let moving = call.weight(name);
            let statistic = statistic.reshape(moving.shape()) * (1.0 - self.momentum);
            call.update(name, moving * self.momentum + statistic);
        }
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
    fn class_name(&self) -> &str {
        "BatchNormalization"
    }

    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        require_rate("epsilon", self.epsilon)?;
        let fits = (0.0..=1.0).contains(&self.momentum);
        require(fits, "momentum", "a number from 0 to 1", self.momentum)?;
        let (axes, features) = fixed_axes(&[self.axis], single(inputs)?)?;
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
        let axes = axes_of(&[self.axis], inputs[0]);
        match call.training() {
            true => self.train(call, inputs[0], &axes),
            false => self.infer(call, inputs[0], &axes),
        }
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }

    fn config(&self) -> Map<String, Value> {
        object(json!({
            "axis": self.axis,
            "momentum": number(self.momentum),
            "epsilon": number(self.epsilon),
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": self.beta_initializer.serialize(),
            "gamma_initializer": self.gamma_initializer.serialize(),
            "moving_mean_initializer": self.moving_mean_initializer.serialize(),
            "moving_variance_initializer": self.moving_variance_initializer.serialize(),
            "beta_regularizer": regularizer(&self.beta_regularizer),
            "gamma_regularizer": regularizer(&self.gamma_regularizer),
            "beta_constraint": constraint(&self.beta_constraint),
            "gamma_constraint": constraint(&self.gamma_constraint),
            "synchronized": false,
        }))
    }
}

impl FromSettings for BatchNormalization {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        settings.unsupported(&["synchronized", "renorm", "virtual_batch_size", "adjustment"])?;
        // Of use with `renorm` alone, and how Keras 1 and 2 ran it.
        settings.ignore(&["renorm_clipping", "renorm_momentum", "fused"]);
        // Keras 2 writes a list of one axis.
        let axis = match settings.axes("axis")?.as_deref() {
            None => -1,
            Some([axis]) => *axis,
            Some(axes) => return Err(Detail::new("axis", "one axis", format!("{axes:?}"))),
        };
        Ok(BatchNormalization {
            axis,
            momentum: settings.number("momentum", 0.99)?,
            epsilon: settings.number("epsilon", 1e-3)?,
            center: settings.flag("center", true)?,
            scale: settings.flag("scale", true)?,
            beta_initializer: settings.initializer("beta_initializer", "zeros")?,
            gamma_initializer: settings.initializer("gamma_initializer", "ones")?,
            moving_mean_initializer: settings.initializer("moving_mean_initializer", "zeros")?,
            moving_variance_initializer: settings
                .initializer("moving_variance_initializer", "ones")?,
            beta_regularizer: settings.regularizer("beta_regularizer")?,
            gamma_regularizer: settings.regularizer("gamma_regularizer")?,
            beta_constraint: settings.constraint("beta_constraint")?,
            gamma_constraint: settings.constraint("gamma_constraint")?,
        })
    }
}

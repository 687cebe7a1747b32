//! Normalization of each sample by itself.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::support::{along, axes_of, constraint, fixed_axes, object, regularizer, single};
use crate::settings::{FromSettings, Settings, number, require_rate};
use crate::{Call, Constraint, Flow, Initializer, Layer, Regularizer, Weights};

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
pub struct LayerNormalization {
    axis: Vec<isize>,
    epsilon: f32,
    center: bool,
    scale: bool,
    rms_scaling: bool,
    beta_initializer: Initializer,
    gamma_initializer: Initializer,
    beta_regularizer: Option<Regularizer>,
    gamma_regularizer: Option<Regularizer>,
    beta_constraint: Option<Constraint>,
    gamma_constraint: Option<Constraint>,
}

impl Default for LayerNormalization {
    fn default() -> Self {
        LayerNormalization {
            axis: vec![-1],
            epsilon: 1e-3,
            center: true,
            scale: true,
            rms_scaling: false,
            beta_initializer: "zeros".into(),
            gamma_initializer: "ones".into(),
            beta_regularizer: None,
            gamma_regularizer: None,
            beta_constraint: None,
            gamma_constraint: None,
        }
    }
}

impl LayerNormalization {
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

    /// Keras' deprecated variant: `y = gamma · x / √(variance + epsilon)`, without beta. For root
    /// mean squares there is [`RMSNormalization`](crate::layers::RMSNormalization).
    #[must_use]
    pub fn rms_scaling(mut self, rms_scaling: bool) -> Self {
        self.rms_scaling = rms_scaling;
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
}

impl Layer for LayerNormalization {
    fn class_name(&self) -> &str {
        "LayerNormalization"
    }

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

    fn config(&self) -> Map<String, Value> {
        object(json!({
            "axis": self.axis,
            "epsilon": number(self.epsilon),
            "center": self.center,
            "scale": self.scale,
            "rms_scaling": self.rms_scaling,
            "beta_initializer": self.beta_initializer.serialize(),
            "gamma_initializer": self.gamma_initializer.serialize(),
            "beta_regularizer": regularizer(&self.beta_regularizer),
            "gamma_regularizer": regularizer(&self.gamma_regularizer),
            "beta_constraint": constraint(&self.beta_constraint),
            "gamma_constraint": constraint(&self.gamma_constraint),
        }))
    }
}

impl FromSettings for LayerNormalization {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(LayerNormalization {
            axis: settings.axes("axis")?.unwrap_or_else(|| vec![-1]),
            epsilon: settings.number("epsilon", 1e-3)?,
            center: settings.flag("center", true)?,
            scale: settings.flag("scale", true)?,
            rms_scaling: settings.flag("rms_scaling", false)?,
            beta_initializer: settings.initializer("beta_initializer", "zeros")?,
            gamma_initializer: settings.initializer("gamma_initializer", "ones")?,
            beta_regularizer: settings.regularizer("beta_regularizer")?,
            gamma_regularizer: settings.regularizer("gamma_regularizer")?,
            beta_constraint: settings.constraint("beta_constraint")?,
            gamma_constraint: settings.constraint("gamma_constraint")?,
        })
    }
}

//! The fully connected layer.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::support::{constraint, object, regularizer};
use crate::settings::{FromSettings, Settings};
use crate::{
    Activation, Call, Constraint, Flow, Initializer, Layer, Regularizer, WeightAxis, Weights,
};

/// `y = activation(x · kernel + bias)`.
///
/// | | |
/// |---|---|
/// | input | `(batch, …, features)` |
/// | output | `(batch, …, units)` |
/// | weights | `kernel` `(features, units)`, `bias` `(units,)` |
/// | defaults | no activation, Glorot uniform kernel, zero bias |
/// | frozen | kernel and bias are constants: packed once, without gradient |
///
/// Keras: <https://keras.io/api/layers/core_layers/dense/>.
#[derive(Clone, Debug)]
pub struct Dense {
    units: usize,
    activation: Option<Activation>,
    use_bias: bool,
    kernel_initializer: Initializer,
    bias_initializer: Initializer,
    kernel_regularizer: Option<Regularizer>,
    bias_regularizer: Option<Regularizer>,
    activity_regularizer: Option<Regularizer>,
    kernel_constraint: Option<Constraint>,
    bias_constraint: Option<Constraint>,
}

impl Dense {
    /// A layer of `units` outputs, with Keras' defaults.
    pub fn new(units: usize) -> Self {
        Dense {
            units,
            activation: None,
            use_bias: true,
            kernel_initializer: "glorot_uniform".into(),
            bias_initializer: "zeros".into(),
            kernel_regularizer: None,
            bias_regularizer: None,
            activity_regularizer: None,
            kernel_constraint: None,
            bias_constraint: None,
        }
    }

    /// What is applied to the sum: `"relu"`, or a value of a type of [`activations`](crate::activations).
    #[must_use]
    pub fn activation(mut self, activation: impl Into<Activation>) -> Self {
        self.activation = Some(activation.into());
        self
    }

    /// Whether there is a bias (there is unless told otherwise).
    #[must_use]
    pub fn use_bias(mut self, use_bias: bool) -> Self {
        self.use_bias = use_bias;
        self
    }

    /// Where the kernel starts.
    #[must_use]
    pub fn kernel_initializer(mut self, initializer: impl Into<Initializer>) -> Self {
        self.kernel_initializer = initializer.into();
        self
    }

    /// Where the bias starts.
    #[must_use]
    pub fn bias_initializer(mut self, initializer: impl Into<Initializer>) -> Self {
        self.bias_initializer = initializer.into();
        self
    }

    /// A penalty on the kernel.
    #[must_use]
    pub fn kernel_regularizer(mut self, regularizer: impl Into<Regularizer>) -> Self {
        self.kernel_regularizer = Some(regularizer.into());
        self
    }

    /// A penalty on the bias.
    #[must_use]
    pub fn bias_regularizer(mut self, regularizer: impl Into<Regularizer>) -> Self {
        self.bias_regularizer = Some(regularizer.into());
        self
    }

    /// A penalty on the output, divided by the batch size as Keras does.
    #[must_use]
    pub fn activity_regularizer(mut self, regularizer: impl Into<Regularizer>) -> Self {
        self.activity_regularizer = Some(regularizer.into());
        self
    }

    /// What holds for the kernel after each update.
    #[must_use]
    pub fn kernel_constraint(mut self, constraint: impl Into<Constraint>) -> Self {
        self.kernel_constraint = Some(constraint.into());
        self
    }

    /// What holds for the bias after each update.
    #[must_use]
    pub fn bias_constraint(mut self, constraint: impl Into<Constraint>) -> Self {
        self.bias_constraint = Some(constraint.into());
        self
    }
}

impl Layer for Dense {
    fn class_name(&self) -> &str {
        "Dense"
    }

    fn flow(&self) -> Flow {
        Flow::Features
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        let features = crate::layers::features(inputs)?;
        if self.units == 0 {
            return Err(Detail::new("units", "at least 1", 0));
        }
        if let Some(activation) = &self.activation {
            activation.get()?;
        }
        weights
            .parameter("kernel", [features, self.units], &self.kernel_initializer)
            .regularizer(&self.kernel_regularizer)
            .constraint(&self.kernel_constraint)
            .axes([WeightAxis::Input, WeightAxis::Output]);
        if self.use_bias {
            weights
                .parameter("bias", [self.units], &self.bias_initializer)
                .regularizer(&self.bias_regularizer)
                .constraint(&self.bias_constraint)
                .axes([WeightAxis::Output]);
        }
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let mut output = inputs[0].matmul(call.weight("kernel"));
        if self.use_bias {
            output = output + call.weight("bias");
        }
        if let Some(activation) = &self.activation {
            output = activation.apply(output);
        }
        call.activity_penalty(&self.activity_regularizer, output);
        output
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = object(json!({
            "units": self.units,
            "activation": self.activation.as_ref().map_or("linear".into(), Activation::serialize),
            "use_bias": self.use_bias,
            "kernel_initializer": self.kernel_initializer.serialize(),
            "bias_initializer": self.bias_initializer.serialize(),
            "kernel_regularizer": regularizer(&self.kernel_regularizer),
            "bias_regularizer": regularizer(&self.bias_regularizer),
            "kernel_constraint": constraint(&self.kernel_constraint),
            "bias_constraint": constraint(&self.bias_constraint),
        }));
        // Keras writes it only where there is one.
        if let Some(regularizer) = &self.activity_regularizer {
            config.insert("activity_regularizer".into(), regularizer.serialize());
        }
        config
    }
}

impl FromSettings for Dense {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        settings.unsupported(&["quantization_config"])?;
        // Files hold the sum of the weight and its update, or it is made on reading.
        settings.ignore(&["lora_rank", "lora_alpha"]);
        Ok(Dense {
            units: settings.size("units")?,
            activation: settings.activation("activation")?,
            use_bias: settings.flag("use_bias", true)?,
            kernel_initializer: settings.initializer("kernel_initializer", "glorot_uniform")?,
            bias_initializer: settings.initializer("bias_initializer", "zeros")?,
            kernel_regularizer: settings.regularizer("kernel_regularizer")?,
            bias_regularizer: settings.regularizer("bias_regularizer")?,
            activity_regularizer: settings.regularizer("activity_regularizer")?,
            kernel_constraint: settings.constraint("kernel_constraint")?,
            bias_constraint: settings.constraint("bias_constraint")?,
        })
    }
}

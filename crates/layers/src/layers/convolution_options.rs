//! What all convolutions share besides their windows: kernels with their settings, and the bias and
//! the activation at the end.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::support::{constraint, regularizer};
use crate::settings::Settings;
use crate::{
    Activation, Call, Constraint, Initializer, Regularizer, WeightAxis, WeightSpec, Weights,
};

/// The axes of a window over `rank` axes, and behind them `channels`.
pub(crate) fn window_axes(rank: usize, channels: [WeightAxis; 2]) -> Vec<WeightAxis> {
    let mut axes = vec![WeightAxis::Space; rank];
    axes.extend(channels);
    axes
}

/// The settings of a weight.
#[derive(Clone, Debug)]
pub(crate) struct WeightOptions {
    pub initializer: Initializer,
    pub regularizer: Option<Regularizer>,
    pub constraint: Option<Constraint>,
}

impl WeightOptions {
    /// A weight that starts as `initializer` says, free otherwise.
    pub fn new(initializer: &str) -> Self {
        WeightOptions {
            initializer: initializer.into(),
            regularizer: None,
            constraint: None,
        }
    }

    /// Declares the weight, whose axes the caller says.
    pub fn declare<'w>(
        &self,
        name: &str,
        shape: impl AsRef<[usize]>,
        weights: &'w mut Weights,
    ) -> &'w mut WeightSpec {
        weights
            .parameter(name, shape, &self.initializer)
            .regularizer(&self.regularizer)
            .constraint(&self.constraint)
    }

    /// Reads the settings, which have these keys: of the initializer, the regularizer and the
    /// constraint.
    pub fn from_settings(
        settings: &Settings<'_>,
        keys: [&'static str; 3],
        initializer: &str,
    ) -> Result<Self, Detail> {
        Ok(WeightOptions {
            initializer: settings.initializer(keys[0], initializer)?,
            regularizer: settings.regularizer(keys[1])?,
            constraint: settings.constraint(keys[2])?,
        })
    }

    /// Adds the settings to a configuration, under keys that begin with `prefix`.
    pub fn write(&self, prefix: &str, config: &mut Map<String, Value>) {
        let mut add = |what: &str, value| config.insert(format!("{prefix}_{what}"), value);
        add("initializer", self.initializer.serialize());
        add("regularizer", regularizer(&self.regularizer));
        add("constraint", constraint(&self.constraint));
    }
}

/// Bias, activation and the penalty on the output.
#[derive(Clone, Debug)]
pub(crate) struct OutputOptions {
    pub use_bias: bool,
    pub bias: WeightOptions,
    pub activation: Option<Activation>,
    pub activity_regularizer: Option<Regularizer>,
}

impl OutputOptions {
    /// A bias that starts at 0 and no activation.
    pub fn new() -> Self {
        OutputOptions {
            use_bias: true,
            bias: WeightOptions::new("zeros"),
            activation: None,
            activity_regularizer: None,
        }
    }

    /// Declares the bias if there is one, and checks the activation.
    pub fn build(&self, filters: usize, weights: &mut Weights) -> Result<(), Detail> {
        if let Some(activation) = &self.activation {
            activation.get()?;
        }
        if self.use_bias {
            self.bias
                .declare("bias", [filters], weights)
                .axes([WeightAxis::Output]);
        }
        Ok(())
    }

    /// Adds the bias to an output with the channels last.
    pub fn add_bias<'g>(&self, call: &Call<'g, '_>, output: Var<'g>) -> Var<'g> {
        match self.use_bias {
            true => output + call.weight("bias"),
            false => output,
        }
    }

    /// Activates the output, wherever its channels are, and reports the penalty on it.
    pub fn activate<'g>(&self, call: &Call<'g, '_>, mut output: Var<'g>) -> Var<'g> {
        if let Some(activation) = &self.activation {
            output = activation.apply(output);
        }
        call.activity_penalty(&self.activity_regularizer, output);
        output
    }

    /// Reads the settings.
    pub fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        // Keras' own adapters and quantized forms would change what is computed.
        settings.unsupported(&["quantization_config"])?;
        // Files hold the sum of the weight and its update, or it is made on reading.
        settings.ignore(&["lora_rank", "lora_alpha"]);
        let bias = ["bias_initializer", "bias_regularizer", "bias_constraint"];
        Ok(OutputOptions {
            use_bias: settings.flag("use_bias", true)?,
            bias: WeightOptions::from_settings(settings, bias, "zeros")?,
            activation: settings.activation("activation")?,
            activity_regularizer: settings.regularizer("activity_regularizer")?,
        })
    }

    /// Adds the settings to a configuration.
    pub fn write(&self, config: &mut Map<String, Value>) {
        let activation = self.activation.as_ref();
        let activation = activation.map_or("linear".into(), Activation::serialize);
        config.insert("activation".into(), activation);
        config.insert("use_bias".into(), self.use_bias.into());
        self.bias.write("bias", config);
        let activity_regularizer = regularizer(&self.activity_regularizer);
        config.insert("activity_regularizer".into(), activity_regularizer);
    }
}

/// The methods that set what all convolutions have; they expect fields `sliding` and `output`.
macro_rules! convolution_methods {
    ($rank:ident) => {
        /// How far the window moves along each axis; 1 unless told otherwise.
        #[must_use]
        pub fn strides(mut self, strides: impl Into<Sizes<$rank>>) -> Self {
            self.sliding.strides = strides.into().0;
            self
        }

        /// What happens at the borders: `"valid"` unless told otherwise, or `"same"`.
        #[must_use]
        pub fn padding(mut self, padding: impl Into<Padding>) -> Self {
            self.sliding.padding = padding.into();
            self
        }

        /// How far the cells that the window sees lie apart; 1 unless told otherwise.
        #[must_use]
        pub fn dilation_rate(mut self, dilation_rate: impl Into<Sizes<$rank>>) -> Self {
            self.sliding.dilation_rate = dilation_rate.into().0;
            self
        }

        /// Takes and gives values with the channels first, as Keras does with
        /// `data_format="channels_first"`: they are turned before and after.
        #[must_use]
        pub fn channels_first(mut self) -> Self {
            self.sliding.channels_first = true;
            self
        }

        /// What is applied to the sum: `"relu"`, or a value of a type of
        /// [`activations`](crate::activations).
        #[must_use]
        pub fn activation(mut self, activation: impl Into<Activation>) -> Self {
            self.output.activation = Some(activation.into());
            self
        }

        /// Whether there is a bias (there is unless told otherwise).
        #[must_use]
        pub fn use_bias(mut self, use_bias: bool) -> Self {
            self.output.use_bias = use_bias;
            self
        }

        /// A penalty on the output, divided by the batch size as Keras does.
        #[must_use]
        pub fn activity_regularizer(mut self, regularizer: impl Into<Regularizer>) -> Self {
            self.output.activity_regularizer = Some(regularizer.into());
            self
        }

        $crate::layers::convolution_options::weight_methods!(
            output.bias,
            "bias",
            bias_initializer,
            bias_regularizer,
            bias_constraint
        );
    };
}
pub(crate) use convolution_methods;

/// The methods that set the options of a weight.
macro_rules! weight_methods {
    ($($field:ident).+, $name:literal, $initializer:ident, $regularizer:ident, $constraint:ident) => {
        #[doc = concat!("Where the ", $name, " starts.")]
        #[must_use]
        pub fn $initializer(mut self, initializer: impl Into<Initializer>) -> Self {
            self.$($field).+.initializer = initializer.into();
            self
        }

        #[doc = concat!("A penalty on the ", $name, ".")]
        #[must_use]
        pub fn $regularizer(mut self, regularizer: impl Into<Regularizer>) -> Self {
            self.$($field).+.regularizer = Some(regularizer.into());
            self
        }

        #[doc = concat!("What holds for the ", $name, " after each update.")]
        #[must_use]
        pub fn $constraint(mut self, constraint: impl Into<Constraint>) -> Self {
            self.$($field).+.constraint = Some(constraint.into());
            self
        }
    };
}
pub(crate) use weight_methods;

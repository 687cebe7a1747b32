//! The fully connected layer.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::support::adapted_or_quantized;
use crate::{
    Activation, Call, Constraint, Flow, Initializer, Layer, Regularizer, WeightAxis, Weights,
};

settings! {
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
    pub struct Dense as "keras.layers.Dense" {
        /// A layer of `units` outputs, with Keras' defaults.
        new(units: usize)
        units: usize = units,
        /// What is applied to the sum: `"relu"`, or a value of a type of [`activations`](crate::activations).
        activation: Option<Activation> = None,
        /// Whether there is a bias (there is unless told otherwise).
        use_bias: bool = true,
        /// Where the kernel starts.
        kernel_initializer: Initializer = "glorot_uniform",
        /// Where the bias starts.
        bias_initializer: Initializer = "zeros",
        /// A penalty on the kernel.
        kernel_regularizer: Option<Regularizer> = None,
        /// A penalty on the bias.
        bias_regularizer: Option<Regularizer> = None,
        /// What holds for the kernel after each update.
        kernel_constraint: Option<Constraint> = None,
        /// What holds for the bias after each update.
        bias_constraint: Option<Constraint> = None,
        /// A penalty on the output, divided by the batch size as Keras does.
        activity_regularizer: Option<Regularizer> = None,
    }
    reading |settings, _it| {
        adapted_or_quantized(settings)?;
    }
    writing |it, config| {
        // Keras writes it only where there is one.
        if it.activity_regularizer.is_none() {
            config.shift_remove("activity_regularizer");
        }
    }
}

impl Layer for Dense {
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
        let mut output = call.product(inputs[0], "kernel", |x, kernel| x.matmul(kernel));
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
}

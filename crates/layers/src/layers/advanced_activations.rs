//! Activations that are layers of their own in Keras, with their settings as arguments.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::support::{axes_of, fixed_axes, single};
use crate::activations::{Elu, LeakyRelu, Relu};
use crate::settings::{axes, require_finite, require_rate};
use crate::{ActivationFunction, Call, Configured, Flow, Layer, Weights};

/// Defines a layer that applies an activation with the same settings.
macro_rules! activation_layer {
    ($layer:ident, |$self:ident| $activation:expr) => {
        impl Layer for $layer {
            fn flow(&self) -> Flow {
                Flow::Keeps
            }

            fn build(&$self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
                $activation.check()?;
                single(inputs).map(|_| ())
            }

            fn call<'g>(&$self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
                $activation.apply(inputs[0])
            }

            fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
                call.mask(0)
            }
        }
    };
}

settings! {
    /// `y = max_value` where x ≥ max_value, `x` where threshold ≤ x < max_value, and
    /// `negative_slope · (x − threshold)` below; with the defaults, `max(x, 0)`.
    ///
    /// Input and output have the same shape, any; there are no weights; being frozen changes nothing.
    /// Keras: <https://keras.io/api/layers/activation_layers/relu/>.
    #[derive(Clone, Copy, Debug)]
    pub struct ReLU as "keras.layers.ReLU" {
        /// `max(x, 0)`.
        new()
        /// The largest output; without bound unless told otherwise. ReLU6 has 6.
        max_value: Option<f32> = None => require_rate,
        /// The slope below the threshold; 0 unless told otherwise.
        negative_slope: f32 = 0.0 => require_rate,
        /// Where it begins; 0 unless told otherwise.
        threshold: f32 = 0.0 => require_rate,
    }
}

activation_layer!(ReLU, |self| Relu {
    negative_slope: self.negative_slope,
    max_value: self.max_value,
    threshold: self.threshold,
});

settings! {
    /// `y = x` where x ≥ 0 and `negative_slope · x` below; the slope is 0.3 by default, as in Keras'
    /// layer (its function `leaky_relu` has 0.2).
    ///
    /// Input and output have the same shape, any; there are no weights; being frozen changes nothing.
    /// Keras: <https://keras.io/api/layers/activation_layers/leaky_relu/>.
    #[derive(Clone, Copy, Debug)]
    pub struct LeakyReLU as "keras.layers.LeakyReLU" {
        /// A layer with this slope for negative numbers.
        new(negative_slope: f32 = 0.3)
        negative_slope: f32 = negative_slope => require_rate,
    }
    reading |settings, it| {
        // Keras 2 calls it alpha.
        let slope = settings.or::<f32>("alpha", it.negative_slope)?;
        it.negative_slope = settings.or("negative_slope", slope)?;
    }
}

activation_layer!(LeakyReLU, |self| LeakyRelu {
    negative_slope: self.negative_slope,
});

settings! {
    /// `y = x` where x ≥ 0 and `alpha · (eˣ − 1)` below; alpha is 1 by default.
    ///
    /// Input and output have the same shape, any; there are no weights; being frozen changes nothing.
    /// Clevert et al. 2015. Keras: <https://keras.io/api/layers/activation_layers/elu/>.
    #[derive(Clone, Copy, Debug)]
    pub struct ELU as "keras.layers.ELU" {
        /// A layer that tends to −`alpha` on the left.
        new(alpha: f32 = 1.0)
        alpha: f32 = alpha => require_finite,
    }
}

activation_layer!(ELU, |self| Elu { alpha: self.alpha });

/// What Keras has in the place of logits that are left out.
const LARGE_NEGATIVE: f32 = -1e9;

settings! {
    /// `y = eˣ / Σ eˣ`, the sum over `axis`, the last unless told otherwise.
    ///
    /// Input and output have the same shape, any; there are no weights; being frozen changes nothing.
    /// Of a mask, which must go with the input as NumPy's broadcasting has it, elements that do not count
    /// are left out of the sum and are 0.
    /// Keras: <https://keras.io/api/layers/activation_layers/softmax/>.
    #[derive(Clone, Debug)]
    pub struct Softmax as "keras.layers.Softmax" {
        /// A layer for the last axis.
        new()
        /// The axes summed over; negative ones count from the end.
        axis: Vec<isize> = [-1],
    }
    writing |it, config| {
        config["axis"] = axes(&it.axis);
    }
}

impl Softmax {
    fn softmax<'g>(&self, x: Var<'g>) -> Var<'g> {
        let last = x.shape().rank().saturating_sub(1);
        let axes = axes_of(&self.axis, x);
        let &[axis] = axes.as_slice() else {
            let shares = (x - x.max_keeping(&axes).stop_gradient()).exp();
            return shares / shares.sum_keeping(&axes);
        };
        if axis == last {
            return x.softmax();
        }
        // Exchanging two axes twice brings them back.
        let mut axes: Vec<usize> = (0..=last).collect();
        axes.swap(axis, last);
        x.permute(&axes).softmax().permute(&axes)
    }
}

impl Layer for Softmax {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        fixed_axes(&self.axis, single(inputs)?).map(|_| ())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        match call.mask(0) {
            None => self.softmax(inputs[0]),
            // What is left out is 0 in the end, even where all of a sum is.
            Some(mask) => {
                let kept = mask.select(inputs[0], LARGE_NEGATIVE);
                mask.select(self.softmax(kept), 0.0)
            }
        }
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }
}

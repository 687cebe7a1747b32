//! Activations that are layers of their own in Keras, with their settings as arguments.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::support::{axes_of, fixed_axes, object, single};
use crate::settings::{FromSettings, Settings, number, require, require_rate};
use crate::{Activation, Call, Flow, Layer, Weights, activations};

/// Defines a layer that applies an activation with settings.
macro_rules! activation_layer {
    ($(#[$documentation:meta])* $name:ident, $class_name:literal, $function:literal,
     |$self:ident| $check:expr, $config:expr) => {
        impl $name {
            fn activation(&self) -> Result<Activation, Detail> {
                activations::from_config($function, &self.config())
            }
        }

        impl Layer for $name {
            fn class_name(&self) -> &str {
                $class_name
            }

            fn flow(&self) -> Flow {
                Flow::Keeps
            }

            fn build(&$self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
                $check?;
                $self.activation()?.get()?;
                single(inputs).map(|_| ())
            }

            fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
                // What is wrong with the settings was found when the layer was built.
                match self.activation() {
                    Ok(activation) => activation.apply(inputs[0]),
                    Err(_) => inputs[0],
                }
            }

            fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
                call.mask(0)
            }

            fn config(&$self) -> Map<String, Value> {
                object($config)
            }
        }
    };
}

/// `y = max_value` where x ≥ max_value, `x` where threshold ≤ x < max_value, and
/// `negative_slope · (x − threshold)` below; with the defaults, `max(x, 0)`.
///
/// Input and output have the same shape, any; there are no weights; being frozen changes nothing.
/// Keras: <https://keras.io/api/layers/activation_layers/relu/>.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReLU {
    max_value: Option<f32>,
    negative_slope: f32,
    threshold: f32,
}

impl ReLU {
    /// `max(x, 0)`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The largest output; without bound unless told otherwise. ReLU6 has 6.
    #[must_use]
    pub fn max_value(mut self, max_value: f32) -> Self {
        self.max_value = Some(max_value);
        self
    }

    /// The slope below the threshold; 0 unless told otherwise.
    #[must_use]
    pub fn negative_slope(mut self, negative_slope: f32) -> Self {
        self.negative_slope = negative_slope;
        self
    }

    /// Where it begins; 0 unless told otherwise.
    #[must_use]
    pub fn threshold(mut self, threshold: f32) -> Self {
        self.threshold = threshold;
        self
    }
}

activation_layer!(
    ReLU,
    "ReLU",
    "relu",
    |self| {
        require_rate("negative_slope", self.negative_slope)?;
        require_rate("threshold", self.threshold)?;
        require_rate("max_value", self.max_value.unwrap_or(0.0))
    },
    json!({
        "max_value": self.max_value.map(number),
        "negative_slope": number(self.negative_slope),
        "threshold": number(self.threshold),
    })
);

impl FromSettings for ReLU {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(ReLU {
            max_value: settings.optional_number("max_value")?,
            negative_slope: settings.number("negative_slope", 0.0)?,
            threshold: settings.number("threshold", 0.0)?,
        })
    }
}

/// `y = x` where x ≥ 0 and `negative_slope · x` below; the slope is 0.3 by default, as in Keras'
/// layer (its function `leaky_relu` has 0.2).
///
/// Input and output have the same shape, any; there are no weights; being frozen changes nothing.
/// Keras: <https://keras.io/api/layers/activation_layers/leaky_relu/>.
#[derive(Clone, Copy, Debug)]
pub struct LeakyReLU {
    negative_slope: f32,
}

impl Default for LeakyReLU {
    fn default() -> Self {
        LeakyReLU::new(0.3)
    }
}

impl LeakyReLU {
    /// A layer with this slope for negative numbers.
    pub fn new(negative_slope: f32) -> Self {
        LeakyReLU { negative_slope }
    }
}

activation_layer!(
    LeakyReLU,
    "LeakyReLU",
    "leaky_relu",
    |self| require_rate("negative_slope", self.negative_slope),
    json!({ "negative_slope": number(self.negative_slope) })
);

impl FromSettings for LeakyReLU {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        // Keras 2 calls it alpha.
        let slope = settings.optional_number("alpha")?;
        let slope = settings.optional_number("negative_slope")?.or(slope);
        Ok(LeakyReLU::new(slope.unwrap_or(0.3)))
    }
}

/// `y = x` where x ≥ 0 and `alpha · (eˣ − 1)` below; alpha is 1 by default.
///
/// Input and output have the same shape, any; there are no weights; being frozen changes nothing.
/// Clevert et al. 2015. Keras: <https://keras.io/api/layers/activation_layers/elu/>.
#[derive(Clone, Copy, Debug)]
pub struct ELU {
    alpha: f32,
}

impl Default for ELU {
    fn default() -> Self {
        ELU::new(1.0)
    }
}

impl ELU {
    /// A layer that tends to −`alpha` on the left.
    pub fn new(alpha: f32) -> Self {
        ELU { alpha }
    }
}

activation_layer!(
    ELU,
    "ELU",
    "elu",
    |self| require(
        self.alpha.is_finite(),
        "alpha",
        "a finite number",
        self.alpha
    ),
    json!({ "alpha": number(self.alpha) })
);

impl FromSettings for ELU {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(ELU::new(settings.number("alpha", 1.0)?))
    }
}

/// What Keras has in the place of logits that are left out.
const LARGE_NEGATIVE: f32 = -1e9;

/// `y = eˣ / Σ eˣ`, the sum over `axis`, the last unless told otherwise.
///
/// Input and output have the same shape, any; there are no weights; being frozen changes nothing.
/// Of a mask, which must go with the input as NumPy's broadcasting has it, elements that do not count
/// are left out of the sum and are 0.
/// Keras: <https://keras.io/api/layers/activation_layers/softmax/>.
#[derive(Clone, Copy, Debug)]
pub struct Softmax {
    axis: isize,
}

impl Default for Softmax {
    fn default() -> Self {
        Softmax { axis: -1 }
    }
}

impl Softmax {
    /// A layer for the last axis.
    pub fn new() -> Self {
        Self::default()
    }

    /// The axis summed over; negative ones count from the end.
    #[must_use]
    pub fn axis(mut self, axis: isize) -> Self {
        self.axis = axis;
        self
    }

    fn softmax<'g>(&self, x: Var<'g>) -> Var<'g> {
        let last = x.shape().rank().saturating_sub(1);
        let axis = axes_of(&[self.axis], x).first().copied().unwrap_or(last);
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
    fn class_name(&self) -> &str {
        "Softmax"
    }

    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        fixed_axes(&[self.axis], single(inputs)?).map(|_| ())
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

    fn config(&self) -> Map<String, Value> {
        object(json!({ "axis": self.axis }))
    }
}

impl FromSettings for Softmax {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        match settings.axes("axis")?.as_deref() {
            None => Ok(Softmax::new()),
            Some([axis]) => Ok(Softmax { axis: *axis }),
            Some(axes) => Err(Detail::new("axis", "one axis", format!("{axes:?}"))),
        }
    }
}

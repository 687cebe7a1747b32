//! Dropping elements at random while training.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::support::{as_size, object, single};
use crate::settings::{FromSettings, Settings, number, require};
use crate::{Call, Flow, Layer, Weights};

/// While it trains, sets each element to zero with probability `rate` and multiplies the others by
/// `1 / (1 − rate)`, so that the sum is the same on average; otherwise `y = x`.
///
/// | | |
/// |---|---|
/// | input, output | any shape, the same |
/// | weights | none |
/// | frozen | `y = x`: it drops nothing, so that what is before it can be cached (Keras goes on dropping in a frozen base) |
///
/// Srivastava et al. 2014. Keras: <https://keras.io/api/layers/regularization_layers/dropout/>.
#[derive(Clone, Debug)]
pub struct Dropout {
    rate: f32,
    noise_shape: Option<Vec<Option<usize>>>,
    seed: Option<u64>,
}

impl Dropout {
    /// A layer that drops each element with probability `rate`.
    pub fn new(rate: f32) -> Self {
        Dropout {
            rate,
            noise_shape: None,
            seed: None,
        }
    }

    /// The shape of the random mask, `None` where it is the input's: with `[None, Some(1), None]`
    /// all time steps of a sample lose the same features.
    #[must_use]
    pub fn noise_shape(mut self, noise_shape: impl Into<Vec<Option<usize>>>) -> Self {
        self.noise_shape = Some(noise_shape.into());
        self
    }

    /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
    /// position.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

/// An error unless `rate` is a probability.
pub(crate) fn require_probability(rate: f32) -> Result<(), Detail> {
    require(
        (0.0..=1.0).contains(&rate),
        "rate",
        "a number from 0 to 1",
        rate,
    )
}

/// `x` with elements dropped by a random mask of shape `mask`.
pub(crate) fn drop<'g>(
    call: &Call<'g, '_>,
    x: Var<'g>,
    mask: Shape,
    rate: f32,
    seed: Option<u64>,
) -> Var<'g> {
    if !call.training() || rate == 0.0 {
        return x;
    }
    // With a rate of 1 nothing is left to be scaled up.
    let scale = if rate < 1.0 { 1.0 / (1.0 - rate) } else { 0.0 };
    let kept = call.graph().bernoulli(call.stream(seed), mask, 1.0 - rate);
    x * (kept * scale)
}

/// The shape of a mask for `x`: `noise_shape` with the sizes of `x` where it has none.
pub(crate) fn mask_shape(x: &Shape, noise_shape: &Option<Vec<Option<usize>>>) -> Shape {
    let Some(noise_shape) = noise_shape else {
        return x.clone();
    };
    let size = |(dim, noise): (&Dim, &Option<usize>)| noise.map_or(*dim, Dim::Fixed);
    x.dims().iter().zip(noise_shape).map(size).collect()
}

/// An error unless a mask of `noise_shape` goes with the input.
pub(crate) fn check_noise_shape(
    inputs: &[Shape],
    noise_shape: &Option<Vec<Option<usize>>>,
) -> Result<(), Detail> {
    let input = single(inputs)?;
    let Some(shape) = noise_shape else {
        return Ok(());
    };
    let mask = mask_shape(input, noise_shape);
    let fits = shape.len() == input.rank() && mask.broadcast(input).as_ref() == Some(input);
    let expected = format!("a mask for {input}, each size equal or 1");
    require(fits, "noise_shape", &expected, shape)
}

impl Settings<'_> {
    /// Keras' `noise_shape`.
    pub(crate) fn noise_shape(&self) -> Result<Option<Vec<Option<usize>>>, Detail> {
        let key = "noise_shape";
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let size = |value: &Value| match value {
            Value::Null => Some(None),
            value => as_size(value).map(Some),
        };
        let sizes = value
            .as_array()
            .map(|sizes| sizes.iter().map(size).collect());
        match sizes {
            Some(Some(sizes)) => Ok(Some(sizes)),
            _ => Err(self.wrong(key, "sizes or null in a list", value)),
        }
    }
}

impl Layer for Dropout {
    fn class_name(&self) -> &str {
        "Dropout"
    }

    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        require_probability(self.rate)?;
        check_noise_shape(inputs, &self.noise_shape)
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        let mask = mask_shape(&x.shape(), &self.noise_shape);
        drop(call, x, mask, self.rate, self.seed)
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }

    fn config(&self) -> Map<String, Value> {
        object(json!({
            "rate": number(self.rate),
            "seed": self.seed,
            "noise_shape": self.noise_shape,
        }))
    }
}

impl FromSettings for Dropout {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(Dropout {
            rate: settings.number("rate", 0.5)?,
            noise_shape: settings.noise_shape()?,
            seed: settings.seed()?,
        })
    }
}

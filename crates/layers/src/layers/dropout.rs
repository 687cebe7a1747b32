//! Dropping elements at random while training.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;

use super::support::single;
use crate::settings::require;
use crate::{Call, Flow, Layer, Weights};

settings! {
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
    pub struct Dropout as "keras.layers.Dropout" {
        /// A layer that drops each element with probability `rate`.
        new(rate: f32 = 0.5)
        rate: f32 = rate,
        /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
        /// position.
        seed: Option<u64> = None,
        /// The shape of the random mask, `None` where it is the input's: with `[None, Some(1), None]`
        /// all time steps of a sample lose the same features.
        noise_shape: Option<Vec<Option<usize>>> = None,
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

impl Layer for Dropout {
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
}

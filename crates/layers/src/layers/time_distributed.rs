//! A layer applied to every step of a sequence.

use regraft_autograd::{DataType, Dim, Shape, Var};
use regraft_tensor::Detail;

use super::leading_axes::{apart, joined, without};
use super::support::single;
use super::{ActivationLayer, Dense};
use crate::contract::layer::LayerKind;
use crate::{Call, Class, Configured, Layer, LayerSpec, Weights};

/// `y[:, t] = layer(x[:, t])`: the layer, or model, applied to every step with the same weights.
///
/// ```
/// use regraft_layers::layers::{Conv2D, Flatten, TimeDistributed};
/// use regraft_layers::{Dense, Input, LayerExt, Sequential, layers};
///
/// // 10 images of 32×32, each seen by the same convolution.
/// let model = Sequential::new(layers![
///     Input::new([10, 32, 32, 3]),
///     TimeDistributed::new(Conv2D::new(8, 3).named("conv")).named("frames"),
///     Flatten::new(),
///     Dense::new(2),
/// ])?;
/// assert!(model.weight("frames/conv/kernel").is_some());
/// # Ok::<(), regraft_layers::Error>(())
/// ```
///
/// | | |
/// |---|---|
/// | input | `(batch, steps, …)`, at least three axes; the layer sees `(batch, …)` |
/// | output | `(batch, steps, …)` |
/// | weights | those of the layer, under its name: `time_distributed/dense/kernel` |
/// | training | step by step: each draws its own random numbers, and moves statistics from where the step before left them |
/// | mask | kept; the layer is given the part of its step |
/// | frozen | what is in it is |
///
/// Read from a file of Keras 2 it takes the steps of all samples for one large batch, as Keras 2 does: a batch
/// normalization has the statistics of all steps and moves once (within a model twice), the layer's activity penalty
/// counts, which Keras 3 leaves out here, and where the layer has a mask to give (an `Embedding` whose zeros are
/// padding, say) that is the mask of the result.
///
/// Keras: <https://keras.io/api/layers/recurrent_layers/time_distributed/>.
#[derive(Clone, Debug)]
pub struct TimeDistributed {
    layer: LayerSpec,
}

impl TimeDistributed {
    /// `layer` at every step.
    pub fn new(layer: impl Into<LayerSpec>) -> Self {
        TimeDistributed {
            layer: layer.into(),
        }
    }

    /// The layer applied once, to the steps of all samples, as in Keras 2.
    fn call_together<'g>(&self, call: &Call<'g, '_>, x: Var<'g>) -> Var<'g> {
        let rows = |x: Var<'g>| joined(x, 1);
        let run = || call.wrapped(0, &[rows(x)], &[call.mask(0).map(rows)]);
        let y = run();
        if let LayerKind::Nested(_) = &self.layer.kind {
            // To learn its mask Keras 2 runs a model once more, in which statistics move and penalties count again.
            let _of_the_mask = run();
        }
        y.map_or(x, |y| apart(y, x, 1))
    }

    /// Whether the layer treats the steps of a sequence alike and apart by itself, so that it need
    /// not be called for each.
    fn is_stepwise(&self) -> bool {
        match &self.layer.kind {
            LayerKind::Leaf(layer) => {
                let layer: &dyn std::any::Any = &**layer;
                layer.is::<Dense>() || layer.is::<ActivationLayer>()
            }
            LayerKind::Nested(_) => false,
        }
    }
}

/// The number of steps.
fn steps(x: &Shape) -> Option<usize> {
    match x.dims() {
        [_, Dim::Fixed(steps), _, ..] => Some(*steps),
        _ => None,
    }
}

/// One step of `x`, without the axis of the steps.
fn step<'g>(x: Var<'g>, index: usize) -> Var<'g> {
    x.slice(1, index..index + 1).squeeze(1)
}

impl Configured for TimeDistributed {
    fn class(&self) -> Class<'_> {
        Class::new("keras.layers.TimeDistributed")
    }
}

impl Layer for TimeDistributed {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let input = single(inputs)?;
        match steps(input) {
            Some(1..) => Ok(()),
            _ => {
                let expected = "an input (batch, steps, …) of at least 1 step";
                Err(Detail::new("", expected, input))
            }
        }
    }

    fn wrapped(&self) -> Vec<(&'static str, LayerSpec)> {
        vec![("layer", self.layer.clone())]
    }

    fn wrapped_inputs(&self, _index: usize, inputs: &[Shape]) -> Vec<Shape> {
        inputs.iter().map(|input| without(input, 1)).collect()
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        if call.as_keras2() {
            return self.call_together(call, x);
        }
        if self.is_stepwise() {
            return call.wrapped_formula(0, &[x], &[]).unwrap_or(x);
        }
        let one = |index: usize| {
            let mask = call.mask(0).map(|mask| step(mask, index));
            let y = call.wrapped_formula(0, &[step(x, index)], &[mask])?;
            Some(y.expand_dims(1))
        };
        let results: Option<Vec<Var<'g>>> = (0..steps(&x.shape()).unwrap_or(0)).map(one).collect();
        match results {
            Some(results) => call.graph().concatenate(&results, 1),
            None => x,
        }
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Option<Var<'g>> {
        let given = call.mask(0);
        if !call.as_keras2() {
            return given;
        }
        if let Some(rows) = call.wrapped_mask() {
            return Some(apart(rows, inputs[0], 1));
        }
        // A step counts if anything of it does.
        let mask = given?;
        let shape = mask.shape();
        let within: Vec<usize> = (2..shape.rank()).collect();
        let any = if within.is_empty() {
            mask
        } else {
            mask.max_keeping(&within)
        };
        Some(any.reshape(Shape::from_iter(shape.dims()[..2].iter().copied())))
    }

    fn input_type(&self) -> DataType {
        match &self.layer.kind {
            LayerKind::Leaf(layer) => layer.input_type(),
            LayerKind::Nested(model) => model.input_types().first().copied().unwrap_or_default(),
        }
    }

    fn takes_any_type(&self) -> bool {
        match &self.layer.kind {
            LayerKind::Leaf(layer) => layer.takes_any_type(),
            LayerKind::Nested(_) => false,
        }
    }
}

//! Layers that make one value of several: sums, products and the like, and joining.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;

use crate::contract::element_type::in_elements_of;
use crate::models::masks::{along_features, either, either_of_all, joined};
use crate::settings::resolve;
use crate::{Call, ElementType, Flow, Layer, Weights};

/// An error unless there are enough inputs and their shapes go together.
pub(super) fn check(inputs: &[Shape], exactly: Option<usize>) -> Result<(), Detail> {
    let count = inputs.len();
    match exactly {
        Some(exactly) if count != exactly => {
            return Err(Detail::new("", format!("{exactly} inputs"), count));
        }
        None if count == 0 => return Err(Detail::new("", "at least 1 input", 0)),
        _ => {}
    }
    let rank = inputs.iter().map(Shape::rank).max().unwrap_or(0);
    let mut shape = of_rank(&inputs[0], rank);
    for input in inputs {
        shape = shape
            .broadcast(&of_rank(input, rank))
            .ok_or_else(|| Detail::new("", format!("an input that goes with {shape}"), input))?;
    }
    Ok(())
}

/// The shape with axes of size 1 behind the batch, so many that it has this rank.
fn of_rank(shape: &Shape, rank: usize) -> Shape {
    let (batch, sample) = shape.dims().split_at(shape.rank().min(1));
    let more = rank.saturating_sub(shape.rank().max(1));
    let more = std::iter::repeat_n(Dim::Fixed(1), more);
    let front = batch.iter().copied();
    front.chain(more).chain(sample.iter().copied()).collect()
}

/// The inputs with axes of size 1 behind the batch, so that all have the rank of the largest.
fn aligned<'g>(inputs: &[Var<'g>]) -> Vec<Var<'g>> {
    let ranks = inputs.iter().map(|input| input.shape().rank());
    let rank = ranks.max().unwrap_or(0);
    let align = |input: &Var<'g>| match input.shape() {
        shape if shape.rank() == rank => *input,
        shape => input.reshape(of_rank(&shape, rank)),
    };
    inputs.iter().map(align).collect()
}

/// Defines a layer that combines inputs element by element, from the left.
macro_rules! merging {
    ($(#[$documentation:meta])* $name:ident, $class:literal, $exactly:expr, |$call:pat_param, $inputs:ident| $value:expr) => {
        settings! {
            $(#[$documentation])*
            ///
            /// Input shapes are the same, or go together as NumPy's broadcasting has it; inputs of fewer axes
            /// get axes of size 1 behind the batch. There are no weights; being frozen changes nothing. If all
            /// inputs have masks, a step of the output counts where it does in one of them.
            /// Keras: <https://keras.io/api/layers/merging_layers/>.
            #[derive(Clone, Copy, Debug, Default)]
            pub struct $name as $class;
        }

        impl Layer for $name {
            fn flow(&self) -> Flow {
                Flow::Keeps
            }

            fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
                check(inputs, $exactly)
            }

            fn call<'g>(&self, $call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
                let $inputs = &aligned(inputs)[..];
                $value
            }

            fn mask<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Option<Var<'g>> {
                either_of_all(call, inputs.len())
            }
        }
    };
}

/// The element type that goes for all of them.
fn common_type(types: &[ElementType]) -> ElementType {
    let all = types.iter().copied().reduce(ElementType::with);
    all.unwrap_or_default()
}

/// Combines values from the left.
fn fold<'g>(inputs: &[Var<'g>], combine: impl Fn(Var<'g>, Var<'g>) -> Var<'g>) -> Var<'g> {
    inputs[1..]
        .iter()
        .fold(inputs[0], |all, &input| combine(all, input))
}

/// The product, where an input that does not count is 1.
fn multiply<'g>(call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
    let masks: Vec<Option<Var<'g>>> = stretched(call, inputs);
    let factors: Vec<Var<'g>> = inputs
        .iter()
        .zip(&masks)
        .map(|(&x, mask)| mask.map_or(x, |mask| mask.select(x, 1.0)))
        .collect();
    let product = fold(&factors, |a, b| a * b);
    let masks: Option<Vec<Var<'g>>> = masks.into_iter().collect();
    match masks {
        None => product,
        Some(masks) => fold(&masks, either).select(product, 0.0),
    }
}

/// The largest or smallest of what counts. As in Keras, from the left: an input without mask after
/// others with masks makes all that follows count.
fn extreme<'g>(
    call: &Call<'g, '_>,
    inputs: &[Var<'g>],
    pick: impl Fn(Var<'g>, Var<'g>) -> Var<'g>,
) -> Var<'g> {
    let masks = stretched(call, inputs);
    let (mut output, mut counts) = (inputs[0], masks[0]);
    for (&input, &mask) in inputs.iter().zip(&masks).skip(1) {
        let x = mask.map_or(input, |mask| mask.select(input, output));
        let kept = counts.map_or(output, |counts| counts.select(output, x));
        counts = counts.zip(mask).map(|(a, b)| either(a, b));
        output = pick(kept, x);
    }
    output
}

/// The masks of the inputs, each with an axis more, so that it goes with its input.
fn stretched<'g>(call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Option<Var<'g>>> {
    let stretch = |(index, &x): (usize, &Var<'g>)| {
        let mask = call.mask(index)?;
        Some(along_features(mask, x).broadcast_to(x.shape()))
    };
    inputs.iter().enumerate().map(stretch).collect()
}

merging!(
    /// The sum of its inputs.
    Add, "keras.layers.Add", None, |_, inputs| fold(inputs, |a, b| a + b)
);
merging!(
    /// The first of two inputs minus the second.
    Subtract, "keras.layers.Subtract", Some(2), |_, inputs| inputs[0] - inputs[1]
);
merging!(
    /// The product of its inputs, element by element. An input is 1 in steps that its mask says do not
    /// count; if all have masks, the product is 0 where none counts.
    Multiply, "keras.layers.Multiply", None, |call, inputs| multiply(call, inputs)
);
merging!(
    /// The mean of its inputs.
    Average, "keras.layers.Average", None,
    |_, inputs| fold(inputs, |a, b| a + b) * (1.0 / inputs.len() as f32)
);
merging!(
    /// The largest of its inputs, element by element; those whose masks say that a step does not count
    /// are left out there.
    Maximum, "keras.layers.Maximum", None, |call, inputs| extreme(call, inputs, |a, b| a.maximum(b))
);
merging!(
    /// The smallest of its inputs, element by element; those whose masks say that a step does not count
    /// are left out there.
    Minimum, "keras.layers.Minimum", None, |call, inputs| extreme(call, inputs, |a, b| a.minimum(b))
);

settings! {
    /// Its inputs one after the other along `axis` (the last unless told otherwise), which is not the
    /// batch; all other sizes are the same. The masks are joined likewise, where an input without mask counts
    /// throughout; along the last axis a step counts if it does in one of them.
    ///
    /// There are no weights; being frozen changes nothing.
    /// Keras: <https://keras.io/api/layers/merging_layers/concatenate/>.
    #[derive(Clone, Copy, Debug)]
    pub struct Concatenate as "keras.layers.Concatenate" {
        /// A layer that joins along the last axis.
        new()
        /// The axis joined along; negative ones count from the end.
        axis: isize = -1,
    }
}

impl Layer for Concatenate {
    fn flow(&self) -> Flow {
        Flow::Joins { axis: self.axis }
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let Some(first) = inputs.first() else {
            return Err(Detail::new("", "at least 1 input", 0));
        };
        let axis = resolve(&[self.axis], first.rank())?[0];
        if first.dims()[axis].fixed().is_none() {
            return Err(Detail::new("axis", "an axis other than the batch", axis));
        }
        let others = |shape: &Shape| {
            let mut dims = shape.dims().to_vec();
            dims.remove(axis);
            dims
        };
        for input in inputs {
            if input.rank() != first.rank() || others(input) != others(first) {
                let expected = format!("{first} but for axis {axis}");
                return Err(Detail::new("", expected, input));
            }
        }
        Ok(())
    }

    fn takes_any_type(&self) -> bool {
        true
    }

    fn output_types(&self, _shapes: &[Shape], types: &[ElementType]) -> Option<Vec<ElementType>> {
        Some(vec![common_type(types)])
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let axis = super::support::axes_of(&[self.axis], inputs[0]);
        let data_type = common_type(call.input_types()).data_type();
        let inputs: Vec<Var<'g>> = inputs
            .iter()
            .map(|&x| in_elements_of(x, data_type))
            .collect();
        call.graph()
            .concatenate(&inputs, axis.first().copied().unwrap_or(0))
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Option<Var<'g>> {
        let axis = super::support::axes_of(&[self.axis], inputs[0]);
        joined(call, inputs, axis.first().copied().unwrap_or(0))
    }
}

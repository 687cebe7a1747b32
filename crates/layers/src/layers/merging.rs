//! Layers that make one value of several: sums, products and the like, and joining.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::support::object;
use crate::settings::{FromSettings, Settings, resolve};
use crate::{Call, Layer, Weights};

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
    let mut shape = inputs[0].clone();
    for input in inputs {
        shape = shape
            .broadcast(input)
            .ok_or_else(|| Detail::new("", format!("an input that goes with {shape}"), input))?;
    }
    Ok(())
}

/// Defines a layer that combines inputs element by element, from the left.
macro_rules! merging {
    ($(#[$documentation:meta])* $name:ident, $class_name:literal, $exactly:expr, |$inputs:ident| $value:expr) => {
        $(#[$documentation])*
        ///
        /// Input shapes are the same, or go together as NumPy's broadcasting has it. There are no
        /// weights; being frozen changes nothing.
        /// Keras: <https://keras.io/api/layers/merging_layers/>.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name;

        impl Layer for $name {
            fn class_name(&self) -> &str {
                $class_name
            }

            fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
                check(inputs, $exactly)
            }

            fn call<'g>(&self, _call: &Call<'g, '_>, $inputs: &[Var<'g>]) -> Var<'g> {
                $value
            }
        }

        impl FromSettings for $name {
            fn from_settings(_settings: &Settings<'_>) -> Result<Self, Detail> {
                Ok($name)
            }
        }
    };
}

/// Combines values from the left.
fn fold<'g>(inputs: &[Var<'g>], combine: impl Fn(Var<'g>, Var<'g>) -> Var<'g>) -> Var<'g> {
    inputs[1..]
        .iter()
        .fold(inputs[0], |all, &input| combine(all, input))
}

merging!(
    /// The sum of its inputs.
    Add, "Add", None, |inputs| fold(inputs, |a, b| a + b)
);
merging!(
    /// The first of two inputs minus the second.
    Subtract, "Subtract", Some(2), |inputs| inputs[0] - inputs[1]
);
merging!(
    /// The product of its inputs, element by element.
    Multiply, "Multiply", None, |inputs| fold(inputs, |a, b| a * b)
);
merging!(
    /// The mean of its inputs.
    Average, "Average", None,
    |inputs| fold(inputs, |a, b| a + b) * (1.0 / inputs.len() as f32)
);
merging!(
    /// The largest of its inputs, element by element.
    Maximum, "Maximum", None, |inputs| fold(inputs, |a, b| a.maximum(b))
);
merging!(
    /// The smallest of its inputs, element by element.
    Minimum, "Minimum", None, |inputs| fold(inputs, |a, b| a.minimum(b))
);

/// Its inputs one after the other along `axis` (the last unless told otherwise), which is not the
/// batch; all other sizes are the same.
///
/// There are no weights; being frozen changes nothing.
/// Keras: <https://keras.io/api/layers/merging_layers/concatenate/>.
#[derive(Clone, Copy, Debug)]
pub struct Concatenate {
    axis: isize,
}

impl Default for Concatenate {
    fn default() -> Self {
        Concatenate { axis: -1 }
    }
}

impl Concatenate {
    /// A layer that joins along the last axis.
    pub fn new() -> Self {
        Self::default()
    }

    /// The axis joined along; negative ones count from the end.
    #[must_use]
    pub fn axis(mut self, axis: isize) -> Self {
        self.axis = axis;
        self
    }
}

impl Layer for Concatenate {
    fn class_name(&self) -> &str {
        "Concatenate"
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let Some(first) = inputs.first() else {
            return Err(Detail::new("", "at least 1 input", 0));
        };
        let axis = resolve(&[self.axis], first.rank())?[0];
        if first.dims()[axis] == Dim::Batch {
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

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let axis = super::support::axes_of(&[self.axis], inputs[0]);
        call.graph()
            .concatenate(inputs, axis.first().copied().unwrap_or(0))
    }

    fn config(&self) -> Map<String, Value> {
        object(json!({ "axis": self.axis }))
    }
}

impl FromSettings for Concatenate {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(Concatenate {
            axis: settings.axis("axis", -1)?,
        })
    }
}

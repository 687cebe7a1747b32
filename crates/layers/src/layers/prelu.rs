//! The rectifier whose negative slope is learnt.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::support::{constraint, object, regularizer, single};
use crate::settings::{FromSettings, Settings};
use crate::{Call, Constraint, Flow, Initializer, Layer, Regularizer, Weights};

/// `y = max(x, 0) − alpha · max(−x, 0)`, with an `alpha` for each element of a sample.
///
/// | | |
/// |---|---|
/// | input, output | `(batch, …)`, the same |
/// | weights | `alpha`, the shape of a sample with size 1 at `shared_axes`, zero at first |
/// | frozen | computes the same; alpha is a constant |
///
/// He et al. 2015. Keras: <https://keras.io/api/layers/activation_layers/prelu/>.
#[derive(Clone, Debug)]
pub struct PReLU {
    alpha_initializer: Initializer,
    alpha_regularizer: Option<Regularizer>,
    alpha_constraint: Option<Constraint>,
    shared_axes: Option<Vec<isize>>,
}

impl Default for PReLU {
    fn default() -> Self {
        PReLU {
            alpha_initializer: "zeros".into(),
            alpha_regularizer: None,
            alpha_constraint: None,
            shared_axes: None,
        }
    }
}

impl PReLU {
    /// A layer with Keras' defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where alpha starts.
    #[must_use]
    pub fn alpha_initializer(mut self, initializer: impl Into<Initializer>) -> Self {
        self.alpha_initializer = initializer.into();
        self
    }

    /// A penalty on alpha.
    #[must_use]
    pub fn alpha_regularizer(mut self, regularizer: impl Into<Regularizer>) -> Self {
        self.alpha_regularizer = Some(regularizer.into());
        self
    }

    /// What holds for alpha after each update.
    #[must_use]
    pub fn alpha_constraint(mut self, constraint: impl Into<Constraint>) -> Self {
        self.alpha_constraint = Some(constraint.into());
        self
    }

    /// The axes (1 is the first after the batch) along which all elements have the same alpha:
    /// `[1, 2]` for one per channel of an image.
    #[must_use]
    pub fn shared_axes(mut self, axes: impl AsRef<[isize]>) -> Self {
        self.shared_axes = Some(axes.as_ref().to_vec());
        self
    }
}

impl Layer for PReLU {
    fn class_name(&self) -> &str {
        "PReLU"
    }

    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        let input = single(inputs)?;
        let Some(mut shape) = input.sample().filter(|_| input.is_batch_first()) else {
            return Err(Detail::new("", "an input (batch, …)", input));
        };
        for &axis in self.shared_axes.iter().flatten() {
            // Keras counts from 1, and lets 0 and negative numbers mean axes from the end.
            let index = if axis > 0 {
                axis - 1
            } else {
                shape.len() as isize + axis - 1
            };
            let size = usize::try_from(index)
                .ok()
                .and_then(|index| shape.get_mut(index));
            match size {
                Some(size) => *size = 1,
                None => {
                    let expected = format!("axes of {input}, counted from 1");
                    return Err(Detail::new("shared_axes", expected, axis));
                }
            }
        }
        weights
            .parameter("alpha", &shape, &self.alpha_initializer)
            .regularizer(&self.alpha_regularizer)
            .constraint(&self.alpha_constraint)
            .along(&(1..=shape.len()).collect::<Vec<_>>());
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        x.relu() - call.weight("alpha") * (-x).relu()
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }

    fn config(&self) -> Map<String, Value> {
        object(json!({
            "alpha_initializer": self.alpha_initializer.serialize(),
            "alpha_regularizer": regularizer(&self.alpha_regularizer),
            "alpha_constraint": constraint(&self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }))
    }
}

impl FromSettings for PReLU {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(PReLU {
            alpha_initializer: settings.initializer("alpha_initializer", "zeros")?,
            alpha_regularizer: settings.regularizer("alpha_regularizer")?,
            alpha_constraint: settings.constraint("alpha_constraint")?,
            shared_axes: settings.axes("shared_axes")?,
        })
    }
}

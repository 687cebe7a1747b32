//! The rectifier whose negative slope is learnt.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::support::single;
use crate::{Call, Constraint, Flow, Initializer, Layer, Regularizer, Weights};

settings! {
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
    pub struct PReLU as "keras.layers.PReLU" {
        /// A layer with Keras' defaults.
        new()
        /// Where alpha starts.
        alpha_initializer: Initializer = "zeros",
        /// A penalty on alpha.
        alpha_regularizer: Option<Regularizer> = None,
        /// What holds for alpha after each update.
        alpha_constraint: Option<Constraint> = None,
        /// The axes (1 is the first after the batch) along which all elements have the same alpha:
        /// `[1, 2]` for one per channel of an image.
        shared_axes: Option<Vec<isize>> = None,
    }
}

impl Layer for PReLU {
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
}

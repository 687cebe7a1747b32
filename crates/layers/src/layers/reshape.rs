//! Samples in another shape.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;

use super::support::single;
use crate::{Call, Flow, Layer, Weights};

settings! {
    /// Gives each sample another shape with as many elements: `(batch, …)` to `(batch, target…)`, the
    /// last axis fastest. One size may be −1: what is left for it.
    ///
    /// It has no weights; being frozen changes nothing.
    /// Keras: <https://keras.io/api/layers/reshaping_layers/reshape/>.
    #[derive(Clone, Debug)]
    pub struct Reshape as "keras.layers.Reshape" {
        /// A layer that gives samples the shape `target`, in which one size may be −1.
        new(target_shape: Vec<isize> = [])
        target_shape: Vec<isize> = target_shape,
    }
}

impl Reshape {
    /// The shape of a batch of shape `input` afterwards.
    pub(crate) fn output(&self, input: &Shape) -> Result<Shape, Detail> {
        let sample = self.sample(input)?.into_iter().map(Dim::Fixed);
        Ok(input.dims()[..1].iter().copied().chain(sample).collect())
    }

    /// The shape of a sample of shape `input` afterwards.
    fn sample(&self, input: &Shape) -> Result<Vec<usize>, Detail> {
        let wrong = || {
            Detail::new(
                "target_shape",
                format!("as many elements as a sample of {input}, one size at most −1"),
                format!("{:?}", self.target_shape),
            )
        };
        let elements: usize = match (input.is_batch_first(), input.sample()) {
            (true, Some(sample)) => sample.iter().product(),
            _ => return Err(Detail::new("", "an input (batch, …)", input)),
        };
        let mut known: usize = 1;
        let mut open = 0;
        for &size in &self.target_shape {
            match size {
                -1 => open += 1,
                size => {
                    let size = usize::try_from(size).map_err(|_| wrong())?;
                    known = known.checked_mul(size).ok_or_else(wrong)?;
                }
            }
        }
        let left = match open {
            0 => (known == elements).then_some(1),
            1 => elements
                .checked_rem(known)
                .filter(|&rest| rest == 0)
                .map(|_| elements / known),
            _ => None,
        };
        let left = left.ok_or_else(wrong)?;
        let size = |&size: &isize| usize::try_from(size).unwrap_or(left);
        Ok(self.target_shape.iter().map(size).collect())
    }
}

impl Layer for Reshape {
    fn flow(&self) -> Flow {
        Flow::Reshapes
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        self.sample(single(inputs)?).map(|_| ())
    }

    fn takes_any_type(&self) -> bool {
        true
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        // What does not fit was found when the layer was built.
        let shape = self.output(&inputs[0].shape());
        inputs[0].reshape(shape.unwrap_or_else(|_| Shape::batch_of(&[])))
    }
}

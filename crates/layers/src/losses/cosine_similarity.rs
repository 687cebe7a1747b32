//! The cosine of the angle between targets and predictions.

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;

use super::define::like;
use crate::Loss;
use crate::contract::axis::resolve;
use crate::formulas::l2_normalize;

settings! {
    /// −Σ target · prediction / (|target| |prediction|) along `axis`, in [−1, 1]: −1 where both point
    /// the same way. Zeros have similarity 0.
    ///
    /// Keras forgets the axis when it saves a configuration; it is written here, and Keras reads it.
    ///
    /// Keras: <https://keras.io/api/losses/regression_losses/#cosinesimilarity-class>.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct CosineSimilarity as "keras.losses.CosineSimilarity" {
        /// The axis along which they are vectors; Keras' default is the last, −1.
        pub axis: isize = -1,
    }
}

impl Loss for CosineSimilarity {
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail> {
        like(predictions)
    }

    fn call<'g>(&self, targets: Var<'g>, predictions: Var<'g>) -> Var<'g> {
        let Some(axis) = resolve("CosineSimilarity", predictions, self.axis) else {
            return predictions;
        };
        let (targets, predictions) = (
            l2_normalize(targets, &[axis]),
            l2_normalize(predictions, &[axis]),
        );
        -(targets * predictions).sum(&[axis])
    }
}

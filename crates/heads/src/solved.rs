//! A head that was solved: its weights, how they were chosen, and what they are worth.

use regraft_tensor::{Detail, Tensor};

use crate::left_out::LeftOut;
use crate::samples::check_finite;
use crate::{Error, Result};

/// A dense layer for features: softmax(x · kernel + bias) are calibrated probabilities.
#[derive(Clone)]
pub struct Solved {
    kernel: Tensor,
    bias: Tensor,
    kind: HeadKind,
    choice: Choice,
    left_out: LeftOut,
}

/// Which head it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadKind {
    /// [`Ridge`](crate::Ridge).
    Ridge,
}

/// The setting that was chosen, and from what.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// What was chosen: `lambda`.
    pub name: &'static str,
    /// In the units of the features.
    pub value: f64,
    /// In the units in which it was looked for.
    pub ratio: f64,
    /// What was tried, ascending, each with its error on left-out groups.
    pub tried: Vec<(f64, f64)>,
}

impl Solved {
    /// From weights whose scores become logits when they are divided by the temperature.
    pub(crate) fn new(
        kind: HeadKind,
        kernel: Vec<f64>,
        bias: Vec<f64>,
        left_out: LeftOut,
        choice: Choice,
    ) -> Self {
        let (classes, temperature) = (bias.len(), left_out.temperature());
        let tensor = |shape: &[usize], values: Vec<f64>| {
            let values = values
                .iter()
                .map(|value| (value / temperature) as f32)
                .collect();
            Tensor::new(shape, values).expect("as many as the shape says")
        };
        Solved {
            kernel: tensor(&[kernel.len() / classes, classes], kernel),
            bias: tensor(&[classes], bias),
            kind,
            choice,
            left_out,
        }
    }

    /// (features, classes), divided by the temperature.
    pub fn kernel(&self) -> &Tensor {
        &self.kernel
    }

    /// (classes), divided by the temperature.
    pub fn bias(&self) -> &Tensor {
        &self.bias
    }

    /// Which head it is.
    pub fn kind(&self) -> HeadKind {
        self.kind
    }

    /// The setting that was chosen.
    pub fn choice(&self) -> &Choice {
        &self.choice
    }

    /// What it says of samples that it has not seen.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// The number of features that it takes.
    pub fn features(&self) -> usize {
        self.kernel.shape()[0]
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.kernel.shape()[1]
    }

    /// The logits of `features`, (samples, features): the logarithms of probabilities, but for a number of each
    /// sample.
    ///
    /// # Errors
    /// [`Error::Features`] if they are of another width, or one is no number.
    pub fn logits(&self, features: &Tensor) -> Result<Tensor> {
        match *features.shape() {
            [_, width] if width == self.features() => {
                check_finite(features.as_slice(), width)?;
                Ok(features
                    .matmul(&self.kernel)
                    .and_then(|product| product.add(&self.bias))
                    .expect("shapes that were checked"))
            }
            _ => {
                let expected = format!("shape [samples, {}]", self.features());
                let received = format!("{:?}", features.shape());
                Err(Error::Features(Detail::new("features", expected, received)))
            }
        }
    }

    /// Calibrated probabilities of `features`, (samples, classes).
    ///
    /// # Errors
    /// As [`logits`](Self::logits).
    pub fn predict(&self, features: &Tensor) -> Result<Tensor> {
        Ok(self.logits(features)?.softmax().expect("it has an axis"))
    }
}

impl std::fmt::Debug for Solved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Solved")
            .field("kind", &self.kind)
            .field("kernel", &self.kernel.shape())
            .field("choice", &self.choice)
            .field("accuracy", &self.left_out.accuracy())
            .finish_non_exhaustive()
    }
}

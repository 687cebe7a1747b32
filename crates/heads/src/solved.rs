//! A head that was solved: its weights, how they were chosen, and what they are worth.

use std::sync::{Arc, OnceLock};

use regraft_tensor::{Detail, Tensor};

use crate::factor::{Factor, Shift};
use crate::left_out::LeftOut;
use crate::samples::check_finite;
use crate::unknown::Unknown;
use crate::words::{Reader, Words};
use crate::{Error, Result};

/// A dense layer for features: softmax(x · kernel + bias) are calibrated probabilities.
#[derive(Clone)]
pub struct Solved {
    kernel: Tensor,
    bias: Tensor,
    kind: HeadKind,
    choice: Choice,
    left_out: LeftOut,
    compared: Vec<(HeadKind, f64)>,
    converged: bool,
    /// What it was solved with, of ridge solutions.
    solution: Option<Arc<(Arc<Factor>, Shift)>>,
    /// What was found by leaving out classes, once somebody has asked.
    unknown: OnceLock<Unknown>,
}

/// Which head it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadKind {
    /// [`Ridge`](crate::Ridge).
    Ridge,
    /// [`Lda`](crate::Lda).
    Lda,
    /// [`Logistic`](crate::Logistic).
    Logistic,
    /// [`NearestMean`](crate::NearestMean).
    NearestMean,
}

impl std::fmt::Display for HeadKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            HeadKind::Ridge => "ridge regression",
            HeadKind::Lda => "linear discriminant analysis",
            HeadKind::Logistic => "logistic regression",
            HeadKind::NearestMean => "the nearest class mean",
        })
    }
}

/// The setting that was chosen, and from what.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// What was chosen: `lambda`, `gamma`, `C`, or `nothing`.
    pub name: &'static str,
    /// In the units of the features.
    pub value: f64,
    /// What was tried, ascending, each with its error on left-out groups: the squared error of a ridge solution, the
    /// log-loss of the others.
    pub tried: Vec<(f64, f64)>,
}

impl Solved {
    /// From weights whose scores become logits when they are divided by the temperature. An error if any is no number.
    pub(crate) fn new(
        kind: HeadKind,
        kernel: Vec<f64>,
        bias: Vec<f64>,
        left_out: LeftOut,
        choice: Choice,
    ) -> Result<Self> {
        let mut numbers = kernel.iter().chain(&bias).chain(left_out.probabilities());
        if !numbers.all(|number| number.is_finite()) {
            return Err(Error::no_number(format!("some that are not, of {kind}")));
        }
        let (classes, temperature) = (bias.len(), left_out.temperature());
        let tensor = |shape: &[usize], values: &[f64]| {
            let values = values
                .iter()
                .map(|value| (value / temperature) as f32)
                .collect();
            Tensor::new(shape, values).expect("as many as the shape says")
        };
        Ok(Solved {
            kernel: tensor(&[kernel.len() / classes, classes], &kernel),
            bias: tensor(&[classes], &bias),
            kind,
            choice,
            left_out,
            compared: Vec::new(),
            converged: true,
            solution: None,
            unknown: OnceLock::new(),
        })
    }

    pub(crate) fn with_factor(mut self, factor: Arc<Factor>, shift: Shift) -> Self {
        self.solution = Some(Arc::new((factor, shift)));
        self
    }

    pub(crate) fn converged_if(mut self, converged: bool) -> Self {
        self.converged = converged;
        self
    }

    pub(crate) fn compared_with(mut self, compared: Vec<(HeadKind, f64)>) -> Self {
        self.compared = compared;
        self
    }

    /// What it was solved with, if it is a ridge solution that has not forgotten it.
    pub(crate) fn solution(&self) -> Option<(&Factor, &Shift)> {
        let (factor, shift) = self.solution.as_deref()?;
        Some((factor, shift))
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

    /// Whether it is the solution to its tolerance. Only [`Logistic`](crate::Logistic) takes steps, 500 at most, and may
    /// stop before: with a smaller C it needs fewer.
    pub fn converged(&self) -> bool {
        self.converged
    }

    /// What it says of samples that it has not seen.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// The heads that [`BestHead`](crate::BestHead) compared, each with its log-loss on what was left out; the best
    /// first. Empty for a head that was asked for.
    pub fn compared(&self) -> &[(HeadKind, f64)] {
        &self.compared
    }

    /// Leaves out each class in turn, and tries how well its samples, which are of no class that the rest knows, can
    /// be told from others.
    ///
    /// None of a head that is no ridge regression, since only that is solved anew without a class at no cost.
    pub fn unknown(&self) -> Option<Unknown> {
        if let Some(known) = self.unknown.get() {
            return Some(known.clone());
        }
        let (factor, shift) = self.solution()?;
        let test = || Unknown::test(factor, shift, &self.left_out);
        Some(self.unknown.get_or_init(test).clone())
    }

    /// Lets go of the factorisation, which is as large as the features: [`learner`](Self::learner) gives nothing any
    /// more, nor does [`unknown`](Self::unknown) if it was not asked before.
    pub fn forget(&mut self) {
        self.solution = None;
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

/// The names of what is chosen.
const CHOSEN: [&str; 4] = ["lambda", "gamma", "C", "nothing"];

const KINDS: [HeadKind; 4] = [
    HeadKind::Ridge,
    HeadKind::Lda,
    HeadKind::Logistic,
    HeadKind::NearestMean,
];

impl Solved {
    /// All that is known of it but for its factorisation, as bytes, to be kept: with [`unknown`](Self::unknown), if it was
    /// asked.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut words = Words::default();
        let place = |kind: &HeadKind| KINDS.iter().position(|known| known == kind);
        let kind = |kind: &HeadKind| place(kind).expect("all are listed");
        let name = CHOSEN.iter().position(|name| *name == self.choice.name);
        words.number(kind(&self.kind));
        words.number(usize::from(self.converged));
        words.number(name.expect("all are listed"));
        words.float(self.choice.value);
        words.pairs(self.choice.tried.iter().copied());
        words.number(self.compared.len());
        for (compared, loss) in &self.compared {
            words.number(kind(compared));
            words.float(*loss);
        }
        words.number(self.classes());
        for weights in [&self.kernel, &self.bias] {
            words.floats(weights.as_slice().iter().map(|value| f64::from(*value)));
        }
        match self.unknown.get() {
            None => words.number(0),
            Some(unknown) => {
                words.number(1);
                unknown.write(&mut words);
            }
        }
        self.left_out.write(&mut words);
        words.into_bytes()
    }

    /// The head of which [`to_bytes`](Self::to_bytes) made these; `None` of others. Keep them with a checksum: other
    /// numbers are another head.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut words = Reader::new(bytes)?;
        let kind = *KINDS.get(words.number()?)?;
        let converged = words.flag()?;
        let choice = Choice {
            name: CHOSEN.get(words.number()?)?,
            value: words.float()?,
            tried: words.pairs()?,
        };
        let mut compared = Vec::new();
        for _ in 0..words.number()? {
            compared.push((*KINDS.get(words.number()?)?, words.float()?));
        }
        let classes = words.number()?;
        let mut weights = || -> Option<Vec<f32>> {
            let values = words.floats()?;
            Some(values.into_iter().map(|value| value as f32).collect())
        };
        let (kernel, bias) = (weights()?, weights()?);
        if classes == 0 || bias.len() != classes || !kernel.len().is_multiple_of(classes) {
            return None;
        }
        let unknown = OnceLock::new();
        if words.flag()? {
            let _ = unknown.set(Unknown::read(&mut words)?);
        }
        let left_out = LeftOut::read(&mut words, classes)?;
        words.is_empty().then_some(())?;
        Some(Solved {
            kernel: Tensor::new([kernel.len() / classes, classes], kernel).ok()?,
            bias: Tensor::new([classes], bias).ok()?,
            kind,
            choice,
            left_out,
            compared,
            converged,
            solution: None,
            unknown,
        })
    }
}

impl std::fmt::Debug for Solved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Solved")
            .field("kind", &self.kind)
            .field("kernel", &self.kernel.shape())
            .field("choice", &self.choice)
            .field("accuracy", &self.left_out.accuracy())
            .field("unknown_classes", &self.left_out.unknown_classes())
            .finish_non_exhaustive()
    }
}

//! The results of the frozen part of a step, computed once.

use regraft_tensor::Detail;

use crate::training::batches::Features;
use crate::training::input::{Data, IntoInputs};
use crate::training::steps::Steps;
use crate::{Error, Result};

/// What [`TrainStep::keep`](super::TrainStep::keep) computed of all samples. Where the rest of the step needs the
/// inputs themselves, they are borrowed.
#[derive(Debug)]
pub struct Kept<'d> {
    /// Of the step.
    pub(super) step: u64,
    pub(super) features: Features,
    /// Those that the rest needs.
    pub(super) inputs: Vec<Option<Data<'d>>>,
    samples: usize,
}

impl<'d> Kept<'d> {
    pub(super) fn new(step: u64, steps: &Steps, features: Features, inputs: Vec<Data<'d>>) -> Self {
        let samples = inputs.first().map_or(0, Data::len);
        let roles = steps.feed_plan(true).roles;
        let inputs = inputs.into_iter().zip(roles);
        Kept {
            step,
            features,
            inputs: inputs
                .map(|(input, (_, read))| read.then_some(input))
                .collect(),
            samples,
        }
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.samples
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// The batch of the samples at `rows`, in the place of the model's inputs, with `others`: what the step is fed
    /// besides, one row for each of `rows`. (`Vec::<Data>::new()` if that is nothing.)
    ///
    /// # Errors
    /// No rows, or one that is not there; as [`IntoInputs::into_inputs`].
    pub fn batch<'a>(
        &'a self,
        rows: &[usize],
        others: impl IntoInputs<'a>,
    ) -> Result<KeptBatch<'a>> {
        if let Some(row) = rows.iter().find(|row| **row >= self.samples) {
            let expected = format!("rows of the {} samples that are kept", self.samples);
            let detail = Detail::new("batch", expected, row);
            return Err(Error::Data(detail.help("rows count from 0")));
        }
        if rows.is_empty() {
            let detail = Detail::new("batch", "at least 1 row", "none");
            return Err(Error::Data(detail.help("leave empty batches out")));
        }
        Ok(KeptBatch {
            of: self,
            rows: rows.iter().map(|&row| row as u32).collect(),
            others: others.into_inputs()?,
        })
    }
}

/// A batch of kept samples, for a step to run on.
#[derive(Debug)]
pub struct KeptBatch<'a> {
    pub(super) of: &'a Kept<'a>,
    pub(super) rows: Vec<u32>,
    pub(super) others: Vec<Data<'a>>,
}

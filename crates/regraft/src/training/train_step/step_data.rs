//! What a step is fed: the arrays of a batch, checked, on their way into the programs.

use regraft_autograd::{DataType, Feed, NodeId, Shape};
use regraft_layers::near;
use regraft_tensor::Detail;

use super::kept::KeptBatch;
use crate::training::batches::{Batch, FeedPlan, feed_of};
use crate::training::feeds::Feeds;
use crate::training::gather::gather;
use crate::training::input::{Data, IntoInputs};
use crate::training::inputs::Inputs;
use crate::training::{named, prepare};
use crate::{Error, Result};

/// What a [`TrainStep`](super::TrainStep) can be run on: arrays as `fit` takes them, and
/// [batches](super::Kept::batch) of what was kept.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as the data of a step",
    note = "pass a reference to an array, or a tuple of them: `(&x, &y)`; or a batch of what was kept"
)]
pub trait IntoStepData<'a> {
    /// The arrays.
    ///
    /// # Errors
    /// As [`IntoInputs::into_inputs`].
    #[doc(hidden)]
    fn into_step_data(self) -> Result<StepData<'a>>;
}

impl<'a, T: IntoInputs<'a>> IntoStepData<'a> for T {
    fn into_step_data(self) -> Result<StepData<'a>> {
        Ok(StepData {
            data: self.into_inputs()?,
            kept: None,
        })
    }
}

impl<'a> IntoStepData<'a> for KeptBatch<'a> {
    fn into_step_data(mut self) -> Result<StepData<'a>> {
        Ok(StepData {
            data: std::mem::take(&mut self.others),
            kept: Some(self),
        })
    }
}

/// The arrays of a batch.
#[doc(hidden)]
#[derive(Debug)]
pub struct StepData<'a> {
    pub(super) data: Vec<Data<'a>>,
    /// In the place of the model's inputs.
    pub(super) kept: Option<KeptBatch<'a>>,
}

/// What the programs of a step are fed.
#[derive(Debug, Default)]
pub(super) struct Fed {
    /// Whether the model's inputs are among it, in front.
    pub takes_inputs: bool,
    pub arrays: Vec<FedArray>,
    /// Name, place and value.
    pub numbers: Vec<(String, usize, f32)>,
}

/// An array that is fed besides the model's inputs.
#[derive(Debug)]
pub(super) struct FedArray {
    pub name: String,
    /// The place among the program's inputs.
    pub index: usize,
    pub node: NodeId,
    pub shape: Shape,
    pub data_type: DataType,
    /// If it holds class numbers: how many classes there are, and the one that is ignored.
    pub classes: Option<(usize, Option<i32>)>,
}

/// Arrays that fit.
pub(super) struct Checked<'a> {
    samples: usize,
    inputs: Vec<Data<'a>>,
    arrays: Vec<Data<'a>>,
    pub kept: Option<KeptBatch<'a>>,
}

impl Fed {
    /// Gives a number another value.
    pub fn set(&mut self, name: &str, value: f32) -> Result<()> {
        require_finite(name, value)?;
        let names: Vec<String> = self.numbers.iter().map(|(name, ..)| name.clone()).collect();
        match self.numbers.iter_mut().find(|(known, ..)| known == name) {
            Some((.., known)) => {
                *known = value;
                Ok(())
            }
            None => {
                let detail = Detail::new("set", "a number of the step", format!("{name:?}"));
                let help = near(name, names.iter().map(String::as_str));
                Err(Error::Setting(detail.help(help)))
            }
        }
    }

    /// Checks the arrays as `fit` does: shape, type, range, NaN.
    pub fn check<'a>(&self, inputs: &Inputs, given: StepData<'a>) -> Result<Checked<'a>> {
        let StepData { data, kept } = given;
        let input_names = match self.takes_inputs && kept.is_none() {
            true => inputs.names().to_vec(),
            false => Vec::new(),
        };
        let input_count = input_names.len();
        let mut names = input_names;
        names.extend(self.arrays.iter().map(|array| array.name.clone()));
        let mut data = named::data_in_order("data", &names, data)?;
        if data.len() != names.len() {
            let expected = format!("{} arrays: {}", names.len(), names.join(", "));
            let detail = Detail::new("data", expected, data.len());
            let help = "pass a tuple or a list of arrays: the model's inputs, and then what the step is fed";
            return Err(Error::Data(detail.help(help)));
        }
        let arrays = data.split_off(input_count);
        let inputs = match input_count {
            0 => data,
            _ => inputs.check("x", data)?,
        };
        let (first, samples) = match (&kept, inputs.first(), arrays.first()) {
            (Some(kept), ..) => ("kept", kept.rows.len()),
            (None, Some(input), _) => ("x", input.len()),
            (None, None, Some(array)) => (self.arrays[0].name.as_str(), array.len()),
            (None, None, None) => ("data", 1),
        };
        let check = |(array, data): (&FedArray, Data<'a>)| {
            regraft_data::check_same_samples((first, samples), (&array.name, data.len()))?;
            array.check(data)
        };
        let arrays = self.arrays.iter().zip(arrays);
        Ok(Checked {
            samples,
            arrays: arrays.map(check).collect::<Result<_>>()?,
            inputs,
            kept,
        })
    }
}

/// Refuses NaN and infinity.
pub(super) fn require_finite(name: &str, value: f32) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    let detail = Detail::new(name, "a finite number", value);
    Err(Error::Setting(
        detail.help("weights that it reaches would be none any more"),
    ))
}

impl FedArray {
    fn check<'a>(&self, data: Data<'a>) -> Result<Data<'a>> {
        let name = self.name.as_str();
        regraft_data::check_not_empty(name, data.shape())?;
        let expected = self.shape.sample().unwrap_or_default();
        let received = data.shape().get(1..).unwrap_or_default();
        if prepare::squeezed(received) != prepare::squeezed(&expected) {
            let received = format!("shape {:?}", data.shape());
            let detail = Detail::new(name, format!("shape {}", self.shape), received);
            return Err(Error::Data(
                detail.help("the first axis counts the samples"),
            ));
        }
        let data = prepare::numbers(name, data, self.data_type)?;
        if let (Some((classes, ignored)), Some(labels)) = (self.classes, data.classes()) {
            prepare::check_classes(name, labels, classes, ignored)?;
        }
        Ok(data)
    }
}

impl Checked<'_> {
    /// What the programs are fed. `plan` says which inputs they read, and what features there are.
    pub fn batch<'b>(
        &'b self,
        fed: &'b Fed,
        plan: &FeedPlan,
        buffers: &'b mut [Vec<f32>],
    ) -> Batch<'b> {
        let mut feeds = Feeds::new(plan.roles.len());
        let mut buffers: Vec<Option<&mut Vec<f32>>> = buffers.iter_mut().map(Some).collect();
        let mut buffer = |index: usize| buffers[index].take().expect("each is fed once");
        for (index, input) in self.inputs.iter().enumerate() {
            feeds.set(index, input.feed(0, self.samples, buffer(index)));
        }
        for (array, data) in fed.arrays.iter().zip(&self.arrays) {
            let feed = data.feed(0, self.samples, buffer(array.index));
            feeds.set(array.index, feed);
        }
        for (_, index, value) in &fed.numbers {
            feeds.set(*index, Feed::F32(std::slice::from_ref(value)));
        }
        if let Some(KeptBatch { of, rows, .. }) = &self.kept {
            for (index, input) in of.inputs.iter().enumerate() {
                if let Some(input) = input {
                    feeds.set(index, input.gather(rows, buffer(index)));
                }
            }
            let first = plan.roles.len() - plan.features.len();
            let features = of.features.0.iter().zip(&plan.features).enumerate();
            for (index, (all, &(elements, data_type))) in features {
                let words = gather(all, elements, rows, buffer(first + index));
                feeds.set(first + index, feed_of(data_type, words));
            }
        }
        Batch {
            samples: self.samples,
            feeds,
            features_fed: self.kept.is_some(),
        }
    }
}

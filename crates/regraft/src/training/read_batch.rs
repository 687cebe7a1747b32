//! Samples of a data set as arrays, for loops of one's own.

use std::borrow::Cow;

use regraft_data::{Dataset, Part, RowSpec, Rows, Slice};
use regraft_tensor::Detail;

use crate::training::input::Data;
use crate::training::samples::epoch_key;
use crate::{Error, Result};

/// These samples of a data set, as [`TrainStep::run`](crate::TrainStep::run) takes them: the inputs, the targets,
/// and the weights if it has some. What a data set draws is what it draws in this epoch (from 0) of a
/// [`fit_dataset`](crate::Model::fit_dataset) with this seed; with [`batches`](crate::data::batches) of the same
/// epoch and seed a loop sees what `fit_dataset` sees.
///
/// ```
/// use regraft::data::{Arrays, batches, read_batch};
/// use regraft::prelude::*;
///
/// let (x, y) = (Array2::<f32>::ones((6, 4)), Array2::<f32>::zeros((6, 1)));
/// let data = Arrays::new(&x, &y)?;
/// let mut model = Sequential::new(layers![Input::new([4]), Dense::new(1)])?;
/// let mut step = model.train_step(SGD::new(0.1), |step| {
///     let (y, output) = (step.feed("y", &[1]), step.output(0));
///     Ok(step.loss("mse", y, output))
/// })?;
/// for epoch in 0..3 {
///     for samples in batches(6, 4, 0, epoch) {
///         step.run(&mut model, read_batch(&data, &samples, 0, epoch)?)?;
///     }
/// }
/// # Ok::<(), regraft::Error>(())
/// ```
///
/// # Errors
/// What the data set says, and a number that it did not write.
pub fn read_batch(
    data: &(impl Dataset + ?Sized),
    samples: &[usize],
    seed: u64,
    epoch: usize,
) -> Result<Vec<Data<'static>>> {
    if let Some(sample) = samples.iter().find(|&&sample| sample >= data.len()) {
        let expected = format!("samples below {}", data.len());
        return Err(Error::Data(Detail::new("samples", expected, sample)));
    }
    let (inputs, targets) = (data.inputs(), data.targets());
    let mut rows = Rows::new(&inputs, &targets, data.has_weights());
    rows.begin(samples.len());
    data.fill(samples, epoch_key(seed, epoch), &mut rows)
        .map_err(Error::Data)?;
    let inputs = inputs.iter().enumerate();
    let inputs = inputs.map(|(index, spec)| (Part::Input(index), spec));
    let targets = targets.iter().enumerate();
    let targets = targets.map(|(index, spec)| (Part::Target(index), spec));
    let arrays = inputs.chain(targets);
    let arrays = arrays.map(|(part, spec)| array(&rows, part, spec, samples));
    let mut arrays: Vec<Data<'static>> = arrays.collect::<Result<_>>()?;
    if let Some(weights) = rows.get_weights() {
        arrays.push(Data::new(
            Cow::Owned(weights.to_vec()),
            vec![samples.len()],
        )?);
    }
    Ok(arrays)
}

/// What was written of a part. Floats that were not are NaN, which nothing takes.
fn array(rows: &Rows, part: Part, spec: &RowSpec, samples: &[usize]) -> Result<Data<'static>> {
    let shape = [&[samples.len()], spec.shape.as_slice()].concat();
    match rows.get(part).expect("all parts are wanted") {
        Slice::F32(values) => Data::new(Cow::Owned(values.to_vec()), shape),
        Slice::I32(values) => {
            if let Some(at) = values.iter().position(|value| *value == i32::MIN) {
                let sample = samples[at / spec.elements().max(1)];
                let at = format!("{part:?} of sample {sample}");
                return Err(Error::Data(Detail::new(at, "an integer", "none")));
            }
            Data::new(Cow::Owned(values.to_vec()), shape)
        }
    }
}

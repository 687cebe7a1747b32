//! Before the first step: do the data fit the model, the loss and each other, and are they numbers
//! at all? What is wrong is said here, with its place, not after an hour.

use regraft_autograd::{DataType, Shape};
use regraft_layers::{Loss, Model};
use regraft_tensor::Detail;

use crate::metrics;
use crate::training::batches::Dataset;
use crate::training::compile::Training;
use crate::training::fit::{Fit, Validation};
use crate::training::input::{Data, Values};
use crate::training::inputs::{Inputs, check_finite};
use crate::training::named;
use crate::training::objective::Objective;
use crate::training::steps::targets_of;
use crate::{Error, Result};

/// The data to train on and to validate on.
pub(crate) fn datasets<'a>(
    model: &Model,
    training: &Training,
    inputs: Vec<Data<'a>>,
    targets: Vec<Data<'a>>,
    options: &Fit<'a>,
) -> Result<(Dataset<'a>, Option<Dataset<'a>>)> {
    let objective = &training.objective;
    let mut data = dataset("x", "y", model, objective, inputs, targets)?;
    data.weights = sample_weights(&data, options)?;
    let class_weights = class_weights(&data, options)?;
    let validation = match &options.validation {
        Validation::None => None,
        Validation::Data(inputs, targets) => {
            let (inputs, targets) = (inputs.clone(), targets.clone());
            let (x, y) = ("validation x", "validation y");
            Some(dataset(x, y, model, objective, inputs, targets)?)
        }
        Validation::Split(share) => {
            let split = match classes(&data) {
                Some(labels) => regraft_data::stratified_split(labels, *share, options.seed)?,
                _ => regraft_data::random_split(data.len(), *share, options.seed)?,
            };
            let validation = Dataset {
                inputs: data
                    .inputs
                    .iter()
                    .map(|input| input.select(&split.validation))
                    .collect(),
                targets: data
                    .targets
                    .iter()
                    .map(|targets| targets.select(&split.validation))
                    .collect(),
                weights: data.weights.as_ref().map(|weights| {
                    split
                        .validation
                        .iter()
                        .map(|&index| weights[index])
                        .collect()
                }),
                members: None,
            };
            data.members = Some(split.train.iter().map(|&index| index as u32).collect());
            Some(validation)
        }
    };
    // Only now: what is validated is weighted by its samples alone, as in Keras.
    data.weights = match (data.weights.take(), class_weights) {
        (Some(own), Some(of_class)) => {
            let both = own.iter().zip(&of_class);
            Some(both.map(|(own, of_class)| own * of_class).collect())
        }
        (own, of_class) => own.or(of_class),
    };
    Ok((data, validation))
}

/// Inputs and targets that fit the model and the loss.
pub(crate) fn dataset<'a>(
    x: &str,
    y: &str,
    model: &Model,
    objective: &Objective,
    inputs: Vec<Data<'a>>,
    targets: Vec<Data<'a>>,
) -> Result<Dataset<'a>> {
    let inputs = Inputs::of(model)?.check(x, inputs)?;
    let samples = inputs.first().map_or(0, Data::len);
    let targets = named::data_in_order(y, &model.output_names(), targets)?;
    let (losses, outputs) = (objective.losses(model)?, model.output_shapes());
    if targets.len() != outputs.len() {
        let expected = format!("{} arrays, one per output of the model", outputs.len());
        return Err(Error::Data(Detail::new(y, expected, targets.len())));
    }
    let names = model.output_names();
    let mut checked = Vec::with_capacity(targets.len());
    for (index, (targets, (loss, predictions))) in targets
        .into_iter()
        .zip(losses.into_iter().zip(&outputs))
        .enumerate()
    {
        let at = match outputs.len() {
            1 => y.to_string(),
            _ => format!("{y} of output {:?}", names[index]),
        };
        regraft_data::check_same_samples((x, samples), (&at, targets.len()))?;
        let (shape, data_type) = targets_of(loss, model, predictions)?;
        let targets = check_targets(&at, targets, &shape, data_type)?;
        if let Some(labels) = targets.classes() {
            let classes = predictions.dims().last().map_or(0, |dim| dim.size(1));
            check_classes(
                &at,
                labels,
                classes,
                loss.get().ok().and_then(Loss::ignored_class),
            )?;
        }
        checked.push(targets);
    }
    Ok(Dataset {
        inputs,
        targets: checked,
        weights: None,
        members: None,
    })
}

/// The class numbers of the samples, if they have one each.
fn classes<'d>(data: &'d Dataset<'_>) -> Option<&'d [i32]> {
    match data.targets.as_slice() {
        [targets] => targets.classes().filter(|all| all.len() == data.samples()),
        _ => None,
    }
}

/// Targets of the loss' shape and type: classes in range, values that are numbers.
fn check_targets<'a>(
    name: &str,
    targets: Data<'a>,
    shape: &Shape,
    data_type: DataType,
) -> Result<Data<'a>> {
    let targets = targets.widened();
    let expected = shape.sample().unwrap_or_default();
    let received = targets.shape().get(1..).unwrap_or_default();
    // As Keras: (n,) and (n, 1) are the same.
    let squeezed = |sizes: &[usize]| match sizes {
        [sizes @ .., 1] => sizes.to_vec(),
        sizes => sizes.to_vec(),
    };
    if squeezed(received) != squeezed(&expected) {
        let received = format!("shape {:?}", targets.shape());
        let detail = Detail::new(name, format!("targets of shape {shape}"), received);
        return Err(Error::Data(detail.help(match data_type {
            DataType::I32 => {
                "this loss takes one class number per row; one-hot rows go with \
                              CategoricalCrossentropy"
            }
            DataType::F32 => {
                "this loss takes one value per prediction; class numbers go with \
                              SparseCategoricalCrossentropy"
            }
        })));
    }
    match (data_type, &targets.values) {
        (DataType::I32, Values::F32(_)) => {
            let detail = Detail::new(name, "class numbers (integers)", "floats");
            Err(Error::Data(
                detail.help("convert them with `.mapv(|label| label as i32)`"),
            ))
        }
        (_, Values::Strings(_)) => {
            let detail = Detail::new(name, "numbers", "strings");
            Err(Error::Data(
                detail.help("look them up first, with a `StringLookup`, say"),
            ))
        }
        (_, Values::Bytes(_)) => unreachable!("bytes have been widened"),
        (DataType::I32, Values::I32(_)) => Ok(targets),
        (DataType::F32, Values::I32(_)) => Ok(targets.into_floats()),
        (DataType::F32, Values::F32(_)) => {
            check_finite(name, &targets)?;
            Ok(targets)
        }
    }
}

fn check_classes(name: &str, labels: &[i32], classes: usize, ignored: Option<i32>) -> Result<()> {
    let Some(ignored) = ignored else {
        return Ok(regraft_data::check_labels(labels, classes)?);
    };
    let wrong =
        |label: &i32| *label != ignored && !(0..classes as i64).contains(&i64::from(*label));
    match labels.iter().position(wrong) {
        None => Ok(()),
        Some(row) => Err(Error::Data(Detail::new(
            format!("{name}, row {row}"),
            format!("a label in 0..{classes}, or {ignored}, which is ignored"),
            labels[row],
        ))),
    }
}

/// The weight of each sample that `sample_weight` gives; `None` if it was not given.
fn sample_weights(data: &Dataset<'_>, options: &Fit<'_>) -> Result<Option<Vec<f32>>> {
    let Some(given) = &options.sample_weight else {
        return Ok(None);
    };
    let samples = data.samples();
    regraft_data::check_same_samples(("x", samples), ("sample_weight", given.len()))?;
    check_finite("sample_weight", given)?;
    match &given.values {
        Values::F32(values) if given.row() == 1 => Ok(Some(values.to_vec())),
        _ => {
            let received = format!("shape {:?}", given.shape());
            let detail = Detail::new("sample_weight", "one number per sample", received);
            Err(Error::Data(detail))
        }
    }
}

/// The weight of each sample's class; `None` if classes have none. The class is the target itself
/// where a sample has one number, and otherwise where its row is largest, as in Keras.
fn class_weights(data: &Dataset<'_>, options: &Fit<'_>) -> Result<Option<Vec<f32>>> {
    if options.class_weight.is_empty() {
        return Ok(None);
    }
    let refused = |received: String| {
        let expected = "one class per sample: a number, or a one-hot row";
        let detail = Detail::new("class_weight", expected, received);
        Err(Error::Data(detail.help("use `sample_weight` instead")))
    };
    let targets = match data.targets.as_slice() {
        [targets] => targets,
        several => return refused(format!("targets of {} outputs", several.len())),
    };
    let weight = |class: i32| options.class_weight.get(&class).copied().unwrap_or(1.0);
    let row = targets.row();
    match &targets.values {
        Values::I32(classes) if row == 1 => {
            Ok(Some(classes.iter().map(|&class| weight(class)).collect()))
        }
        Values::F32(values) if row == 1 => {
            let class = |value: f32| value.round_ties_even() as i32;
            Ok(Some(
                values.iter().map(|&value| weight(class(value))).collect(),
            ))
        }
        Values::F32(values) if targets.shape().len() == 2 && row > 0 => {
            let class = |row: &[f32]| metrics::argmax(row) as i32;
            Ok(Some(
                values
                    .chunks_exact(row)
                    .map(|row| weight(class(row)))
                    .collect(),
            ))
        }
        _ => refused(format!("targets of shape {:?}", targets.shape())),
    }
}

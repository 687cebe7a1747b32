//! Before the first step: do the data fit the model, the loss and each other, and are they numbers
//! at all? What is wrong is said here, with its place, not after an hour.

use regraft_autograd::{DataType, Shape};
use regraft_layers::Model;
use regraft_layers::losses::LossFunction;
use regraft_tensor::Detail;

use crate::batches::Dataset;
use crate::fit::{Fit, Validation};
use crate::input::{Data, Values};
use crate::steps::targets_of;
use crate::trainable::Training;
use crate::{Error, Result};

/// The data to train on and to validate on.
pub(crate) fn datasets<'a>(
    model: &Model,
    training: &Training,
    inputs: Vec<Data<'a>>,
    targets: Data<'a>,
    options: &Fit<'a>,
) -> Result<(Dataset<'a>, Option<Dataset<'a>>)> {
    let mut data = dataset("x", "y", model, &training.loss, inputs, targets)?;
    data.weights = sample_weights(&data, options)?;
    let validation = match &options.validation {
        Validation::None => None,
        Validation::Data(inputs, targets) => {
            let (inputs, targets) = (inputs.clone(), targets.clone());
            let names = ("validation x", "validation y");
            Some(dataset(
                names.0,
                names.1,
                model,
                &training.loss,
                inputs,
                targets,
            )?)
        }
        Validation::Split(share) => {
            let split = match data.targets.classes() {
                Some(labels) if labels.len() == data.len() => {
                    regraft_data::stratified_split(labels, *share, options.seed)?
                }
                _ => regraft_data::random_split(data.len(), *share, options.seed)?,
            };
            let validation = Dataset {
                inputs: data
                    .inputs
                    .iter()
                    .map(|input| input.select(&split.validation))
                    .collect(),
                targets: data.targets.select(&split.validation),
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
    Ok((data, validation))
}

/// Inputs and targets that fit the model and the loss.
pub(crate) fn dataset<'a>(
    x: &str,
    y: &str,
    model: &Model,
    loss: &LossFunction,
    inputs: Vec<Data<'a>>,
    targets: Data<'a>,
) -> Result<Dataset<'a>> {
    let inputs = check_inputs(x, model, inputs)?;
    let samples = inputs.first().map_or(0, Data::len);
    regraft_data::check_same_samples((x, samples), (y, targets.len()))?;
    let predictions = model.output_shapes().pop().unwrap_or_default();
    let (shape, data_type) = targets_of(loss, model, &predictions)?;
    let targets = check_targets(y, targets, &shape, data_type)?;
    if let Some(labels) = targets.classes() {
        let classes = predictions.dims().last().map_or(0, |dim| dim.size(1));
        check_classes(y, labels, classes, ignored_class(loss))?;
    }
    Ok(Dataset {
        inputs,
        targets,
        weights: None,
        members: None,
    })
}

/// Inputs of the model's shapes and types, without NaN or infinity.
pub(crate) fn check_inputs<'a>(
    name: &str,
    model: &Model,
    inputs: Vec<Data<'a>>,
) -> Result<Vec<Data<'a>>> {
    if !model.is_built() {
        return Err(Error::Model(
            Detail::new(
                model.name(),
                "a model whose input shape is known",
                "one without",
            )
            .help("begin it with `Input::new([…])`"),
        ));
    }
    let (shapes, types) = (model.input_shapes(), model.input_types());
    if inputs.len() != shapes.len() {
        let expected = format!("{} arrays, one per input of the model", shapes.len());
        return Err(Error::Data(Detail::new(name, expected, inputs.len())));
    }
    let samples = inputs.first().map_or(0, Data::len);
    let mut checked = Vec::with_capacity(inputs.len());
    for ((input, shape), data_type) in inputs.into_iter().zip(shapes).zip(types) {
        regraft_data::check_not_empty(name, input.shape())?;
        regraft_data::check_same_samples((name, samples), (name, input.len()))?;
        let expected = shape.sample().unwrap_or_default();
        if input.shape().get(1..) != Some(&expected[..]) {
            let received = format!("shape {:?}", input.shape());
            let detail = Detail::new(name, format!("shape {shape}"), received);
            return Err(Error::Data(
                detail.help("the first axis counts the samples"),
            ));
        }
        let input = match (data_type, &input.values) {
            (DataType::F32, Values::I32(_)) => input.into_floats(),
            (DataType::I32, Values::F32(_)) => {
                let detail = Detail::new(name, "integers (token ids)", "floats");
                return Err(Error::Data(detail));
            }
            _ => input,
        };
        check_finite(name, &input)?;
        checked.push(input);
    }
    Ok(checked)
}

/// Targets of the loss' shape and type: classes in range, values that are numbers.
fn check_targets<'a>(
    name: &str,
    targets: Data<'a>,
    shape: &Shape,
    data_type: DataType,
) -> Result<Data<'a>> {
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
        (DataType::I32, Values::I32(_)) => Ok(targets),
        (DataType::F32, Values::I32(_)) => Ok(targets.into_floats()),
        (DataType::F32, Values::F32(_)) => {
            check_finite(name, &targets)?;
            Ok(targets)
        }
    }
}

/// The class that the loss passes over, if it has one.
fn ignored_class(loss: &LossFunction) -> Option<i32> {
    let config = loss.get().ok()?.config();
    i32::try_from(config.get("ignore_class")?.as_i64()?).ok()
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

fn check_finite(name: &str, data: &Data<'_>) -> Result<()> {
    let Values::F32(values) = &data.values else {
        return Ok(());
    };
    if regraft_data::all_finite(values) {
        return Ok(());
    }
    let row = data.row().max(1);
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::Data(
            Detail::new(
                format!("{name}, sample {}, element {}", index / row, index % row),
                "a finite number",
                values[index],
            )
            .help("remove or replace the sample"),
        )),
    }
}

/// The weight of each sample: its own times that of its class; `None` if all are 1.
fn sample_weights(data: &Dataset<'_>, options: &Fit<'_>) -> Result<Option<Vec<f32>>> {
    let samples = data.targets.len();
    let mut weights = match &options.sample_weight {
        None if options.class_weight.is_empty() => return Ok(None),
        None => vec![1.0; samples],
        Some(given) => {
            regraft_data::check_same_samples(("x", samples), ("sample_weight", given.len()))?;
            check_finite("sample_weight", given)?;
            match &given.values {
                Values::F32(values) if given.row() == 1 => values.to_vec(),
                _ => {
                    let received = format!("shape {:?}", given.shape());
                    let detail = Detail::new("sample_weight", "one number per sample", received);
                    return Err(Error::Data(detail));
                }
            }
        }
    };
    if !options.class_weight.is_empty() {
        let Some(classes) = data
            .targets
            .classes()
            .filter(|classes| classes.len() == samples)
        else {
            let detail = Detail::new(
                "class_weight",
                "one class number per sample",
                "other targets",
            );
            return Err(Error::Data(detail.help("use `sample_weight` instead")));
        };
        for (weight, class) in weights.iter_mut().zip(classes) {
            *weight *= options.class_weight.get(class).copied().unwrap_or(1.0);
        }
    }
    Ok(Some(weights))
}

//! Before the first step: do the data fit the model, the loss and each other, and are they numbers
//! at all? What is wrong is said here, with its place, not after an hour.

use std::borrow::Cow;
use std::sync::Arc;

use regraft_autograd::{DataType, Shape};
use regraft_data::{Dataset, RowSpec, RowType};
use regraft_layers::{Loss, Model};
use regraft_tensor::Detail;

use crate::metrics::Targets;
use crate::training::arrays::Arrays;
use crate::training::batches::{Batcher, FeedPlan};
use crate::training::compiled::Training;
use crate::training::input::{Data, Values};
use crate::training::inputs::{Inputs, check_finite, spec_help, type_of};
use crate::training::named;
use crate::training::objective::Objective;
use crate::training::options::{Fit, Validation};
use crate::training::samples::{Checks, SampleWeights, Samples, Source, lasting_key};
use crate::training::steps::targets_of;
use crate::{Error, Result};

/// The samples to train on and to validate on.
pub(crate) fn parts<'a>(
    model: &Model,
    training: &Training,
    mut data: Samples<'a>,
    options: &Fit<'a>,
) -> Result<(Samples<'a>, Option<Samples<'a>>)> {
    let objective = &training.objective;
    data.weights = sample_weights(("x", "sample_weight"), model, &data, &options.sample_weight)?;
    let mut validation = match &options.validation {
        Validation::None => None,
        Validation::Data(inputs, targets) => {
            let (inputs, targets) = (inputs.clone(), targets.clone());
            let (x, y) = ("validation x", "validation y");
            Some(arrays(x, y, model, objective, inputs, targets)?)
        }
        Validation::Dataset(data) => Some(stream("validation", model, objective, *data)?),
        Validation::Split(share) => {
            let split = match classes(&data)? {
                Some(labels) => regraft_data::stratified_split(&labels, *share, options.seed)?,
                _ => regraft_data::random_split(data.len(), *share, options.seed)?,
            };
            let members = |picked: &[usize]| {
                let members = picked.iter().map(|&index| index as u32);
                Some(members.collect::<Vec<u32>>())
            };
            let validation = Samples {
                members: members(&split.validation),
                ..data.clone()
            };
            data.members = members(&split.train);
            Some(validation)
        }
    };
    if !options.validation_sample_weight.is_empty() {
        let given = &options.validation_sample_weight;
        let names = ("validation x", "validation_sample_weight");
        match (&options.validation, &mut validation) {
            (Validation::Data(..) | Validation::Dataset(_), Some(validation)) => {
                validation.weights = sample_weights(names, model, validation, given)?;
            }
            _ => {
                let expected = "samples of their own to validate on";
                let detail = Detail::new(names.1, expected, format!("{:?}", options.validation));
                let help = "give `validation_data`; of a split, `sample_weight` has the weights";
                return Err(Error::Setting(detail.help(help)));
            }
        }
    }
    // Only now: what is validated is weighted by its samples alone, as in Keras.
    check_class_weight(&data, options)?;
    data.class_weight.clone_from(&options.class_weight);
    if let Some(distillation) = &options.distillation {
        data.taught = Some(Arc::new(distillation.taught(model, &data)?));
    }
    Ok((data, validation))
}

/// A data set of which samples are read one batch after the other, if they are what the model and the loss
/// take.
pub(crate) fn stream<'a>(
    name: &str,
    model: &Model,
    objective: &Objective,
    data: &'a dyn Dataset,
) -> Result<Samples<'a>> {
    let checks = checks(name, model, objective, data, false)?;
    Ok(Source::Stream(data, Arc::new(checks)).into())
}

/// Checks data once more, of a model that is not as it was when they were checked.
pub(crate) fn again(
    name: &str,
    model: &Model,
    objective: &Objective,
    data: &mut Samples<'_>,
) -> Result<()> {
    match &mut data.source {
        Source::Stream(data, known) => {
            *known = Arc::new(checks(name, model, objective, *data, false)?);
            Ok(())
        }
        Source::Arrays(arrays) => {
            let checks = checks(name, model, objective, &**arrays, true)?;
            checks.check_all(&**arrays)
        }
    }
}

/// What the rows of a data set must hold, if they are of the shapes and types that the model and the loss
/// take. Its strings may have been looked up.
fn checks(
    name: &str,
    model: &Model,
    objective: &Objective,
    data: &dyn Dataset,
    looked_up: bool,
) -> Result<Checks> {
    let mut checks = Checks {
        inputs: Inputs::of(model)?.check_specs(name, data, looked_up)?,
        targets: Vec::new(),
    };
    let wrong = |what: String, expected: String, received: String, help: String| {
        let detail = Detail::new(format!("{name}: {what}"), expected, received);
        Err(Error::Data(detail.help(help)))
    };
    let (losses, outputs) = (objective.losses(model)?, model.output_shapes());
    let (specs, names) = (data.targets(), model.output_names());
    if specs.len() != outputs.len() {
        let expected = format!("{} targets, {names:?}", outputs.len());
        let help =
            "see `targets` of the data set: what a sample has for each output, in their order";
        let received = specs.len().to_string();
        return wrong("targets".into(), expected, received, help.into());
    }
    for (index, (spec, (loss, predictions))) in specs
        .iter()
        .zip(losses.into_iter().zip(&outputs))
        .enumerate()
    {
        let Some(loss) = loss else {
            checks.targets.push((names[index].clone(), None));
            continue;
        };
        let (shape, data_type) = targets_of(loss, model, predictions)?;
        let same = squeezed(&spec.shape) == squeezed(&shape.sample().unwrap_or_default());
        if !same || type_of(spec) != data_type {
            let what = format!("target {:?}", names[index]);
            let expected = format!("rows of {data_type} of shape {shape}");
            let received = format!("{} of shape {:?} each", type_of(spec), spec.shape);
            return wrong(what, expected, received, spec_help(spec, data_type));
        }
        let classes = predictions.dims().last().map_or(0, |dim| dim.size(1));
        let ignored = loss.get().ok().and_then(Loss::ignored_class);
        let of_classes = data_type == DataType::I32;
        let classes = of_classes.then_some((classes, ignored));
        checks.targets.push((names[index].clone(), classes));
    }
    Ok(checks)
}

/// Inputs and targets that fit the model and the loss.
pub(crate) fn arrays<'a>(
    x: &str,
    y: &str,
    model: &Model,
    objective: &Objective,
    inputs: Vec<Data<'a>>,
    targets: Vec<Data<'a>>,
) -> Result<Samples<'a>> {
    let inputs = Inputs::of(model)?.check(x, inputs)?;
    let samples = inputs.first().map_or(0, Data::len);
    let targets = named::data_in_order(y, &model.output_names(), targets)?;
    let (losses, outputs) = (objective.losses(model)?, model.output_shapes());
    if targets.len() != outputs.len() {
        let expected = format!("{} arrays, one per output of the model", outputs.len());
        let detail = Detail::new(y, expected, targets.len());
        let help = format!("the outputs are {:?}", model.output_names());
        return Err(Error::Data(detail.help(help)));
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
        let Some(loss) = loss else {
            checked.push(measured(&at, targets, predictions)?);
            continue;
        };
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
    let targets = checked;
    Ok(Arrays { inputs, targets }.into())
}

/// The class numbers of the samples, if they have one each. Those of a stream are read for it.
fn classes<'d>(data: &'d Samples<'_>) -> Result<Option<Cow<'d, [i32]>>> {
    if let Source::Arrays(arrays) = &data.source {
        let classes = match arrays.targets.as_slice() {
            [targets] => targets.classes().filter(|all| all.len() == data.len()),
            _ => None,
        };
        return Ok(classes.map(Cow::Borrowed));
    }
    let is_class = |spec: &RowSpec| spec.row_type == RowType::I32 && spec.elements() == 1;
    if !matches!(data.source.data().targets().as_slice(), [spec] if is_class(spec)) {
        return Ok(None);
    }
    const CHUNK: usize = 4096;
    let plan = FeedPlan {
        with_targets: true,
        ..FeedPlan::default()
    };
    let mut batcher = Batcher::new(plan, data);
    let mut classes = Vec::with_capacity(data.len());
    for from in (0..data.len()).step_by(CHUNK) {
        let to = (from + CHUNK).min(data.len());
        batcher.prepare(data, None, None, (from, to), lasting_key())?;
        let (_, truth) = batcher.ready(data, None, None, (from, to));
        if let Targets::Classes(of_chunk) = truth.metric_targets(0) {
            classes.extend_from_slice(of_chunk);
        }
    }
    Ok(Some(Cow::Owned(classes)))
}

/// (n,) and (n, 1) are the same, as in Keras.
pub(crate) fn squeezed(sizes: &[usize]) -> &[usize] {
    match sizes {
        [sizes @ .., 1] => sizes,
        sizes => sizes,
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
    numbers(name, targets, data_type)
}

/// The data as numbers of a type: class numbers are never made of floats, and floats are finite.
pub(crate) fn numbers<'a>(name: &str, data: Data<'a>, data_type: DataType) -> Result<Data<'a>> {
    let data = data.widened();
    match (data_type, &data.values) {
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
        (DataType::I32, Values::I32(_)) => Ok(data),
        (DataType::F32, Values::I32(_)) => Ok(data.into_floats()),
        (DataType::F32, Values::F32(_)) => {
            check_finite(name, &data)?;
            Ok(data)
        }
    }
}

/// Targets of an output without a loss, which metrics alone look at: integers are classes where there is one
/// per row of the predictions, and values otherwise.
fn measured<'a>(name: &str, targets: Data<'a>, predictions: &Shape) -> Result<Data<'a>> {
    let predictions = predictions.sample().unwrap_or_default();
    let rows: usize = predictions.iter().rev().skip(1).product();
    let is_row = predictions.last().is_some_and(|&width| width > 1) && targets.row() == rows;
    let data_type = match &targets.values {
        Values::I32(_) | Values::Bytes(_) if is_row => DataType::I32,
        _ => DataType::F32,
    };
    numbers(name, targets, data_type)
}

/// Class numbers within their range, but for one that is ignored.
pub(crate) fn check_classes(
    name: &str,
    labels: &[i32],
    classes: usize,
    ignored: Option<i32>,
) -> Result<()> {
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

/// How much samples count, for all outputs or for each, by the arrays that are `given` as `name`; none if none is.
pub(crate) fn sample_weights(
    (x, name): (&str, &str),
    model: &Model,
    data: &Samples<'_>,
    given: &[Data<'_>],
) -> Result<Vec<SampleWeights>> {
    let (names, outputs) = (model.output_names(), model.output_shapes());
    let of_all = matches!(given, [one] if names.len() == 1 || one.name.is_none());
    let given = given.iter().cloned().map(Data::into_floats).collect();
    let given = match of_all && names.len() > 1 {
        true => given,
        false => named::data_in_order(name, &names, given)?,
    };
    if given.len() > 1 && given.len() != names.len() {
        let expected = format!("one array, or one for each of the outputs {names:?}");
        return Err(Error::Data(Detail::new(name, expected, given.len())));
    }
    let weights = given.iter().enumerate().map(|(index, given)| {
        let at = match of_all && given.name.is_none() {
            true => name.to_string(),
            false => format!("{name} of output {:?}", names[index]),
        };
        regraft_data::check_same_samples((x, data.source.data().len()), (&at, given.len()))?;
        check_finite(&at, given)?;
        let shape = squeezed_all(given.shape().get(1..).unwrap_or_default());
        // Of the outputs that it counts for, all must have these steps.
        let of = match of_all {
            true => &outputs[..],
            false => &outputs[index..=index],
        };
        let has_steps = |output: &Shape| {
            let sizes = output.sample().unwrap_or_default();
            sizes.len() > shape.len() && sizes.starts_with(shape)
        };
        match &given.values {
            Values::F32(values) if shape.is_empty() || of.iter().all(has_steps) => {
                Ok(SampleWeights {
                    values: values.to_vec(),
                    shape: shape.to_vec(),
                })
            }
            _ => {
                let expected = "one number per sample, or per step of the output";
                let received = format!("shape {:?}", given.shape());
                Err(Error::Data(Detail::new(at, expected, received)))
            }
        }
    });
    weights.collect()
}

/// Without the axes of size 1 at the end.
fn squeezed_all(mut sizes: &[usize]) -> &[usize] {
    while let [rest @ .., 1] = sizes {
        sizes = rest;
    }
    sizes
}

/// Refuses weights of classes where a sample has none: it has one if its target is a number, and if it is a
/// row, of which the largest says it, as in Keras.
fn check_class_weight(data: &Samples<'_>, options: &Fit<'_>) -> Result<()> {
    let specs = data.source.data().targets();
    let received = match specs.as_slice() {
        _ if options.class_weight.is_empty() => return Ok(()),
        [spec] if spec.elements() == 1 => return Ok(()),
        [spec] if spec.row_type == RowType::F32 && spec.shape.len() == 1 => return Ok(()),
        [spec] => format!("targets of shape {:?} each", spec.shape),
        several => format!("targets of {} outputs", several.len()),
    };
    let expected = "one class per sample: a number, or a one-hot row";
    let detail = Detail::new("class_weight", expected, received);
    Err(Error::Data(detail.help("use `sample_weight` instead")))
}

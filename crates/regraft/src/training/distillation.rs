//! Distillation: a student learns the softened answers of a teacher beside the labels.

use regraft_autograd::Graph;
use regraft_autograd::ops::{Map, Sigmoid, Softmax};
use regraft_data::Dataset;
use regraft_layers::{Mode, Model as Network};
use regraft_tensor::Detail;

use crate::training::input::{Data, IntoData, Values};
use crate::training::inputs::{Inputs, check_finite};
use crate::training::samples::Samples;
use crate::training::taught::Taught;
use crate::{Error, Model, Result};

/// What [`Fit::distillation`](crate::Fit::distillation) trains with: the answers of a teacher beside the labels (Hinton
/// et al. 2015, <https://arxiv.org/abs/1503.02531>).
///
/// The loss is `α · T² · KL(softmax(t / T), softmax(s / T)) + (1 − α) · loss`, where t and s are the logits of teacher and
/// student, and the loss is what the student was compiled with. The divergence is the mean over samples, each weighted as
/// in the loss. Regularizers count in full besides; validation has the loss alone.
///
/// What the teacher answers is computed once for each sample that is trained on, as in inference, and kept. If a model
/// ends with a softmax, the logits are those below it.
///
/// ```
/// use regraft::prelude::*;
///
/// let stack = |width| layers![Input::new([2]), Dense::new(width).activation("relu"), Dense::new(2)];
/// let (teacher, mut student) = (Sequential::new(stack(64))?, Sequential::new(stack(4))?);
/// // … the teacher is trained …
/// let x = Array2::from_shape_fn((40, 2), |(i, j)| ((i * 7 + j * 3) % 11) as f32 / 11.0 + (i % 2) as f32);
/// let y: Vec<i32> = (0..40).map(|i| i % 2).collect();
/// student.compile(Adam::new(1e-3), SparseCategoricalCrossentropy::from_logits(), ["accuracy"])?;
/// let taught = Distillation::by(&teacher).temperature(4.0).alpha(0.5);
/// student.fit(&x, &y, Fit::new().epochs(2).verbosity(Verbosity::Silent).distillation(taught))?;
/// # Ok::<(), regraft::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "pass it to `Fit::distillation`"]
pub struct Distillation<'a> {
    answers: Answers<'a>,
    temperature: f32,
    alpha: f32,
}

/// Where the answers come from.
#[derive(Debug)]
enum Answers<'a> {
    Of(&'a Model),
    Logits(Result<Data<'a>>),
    Probabilities(Result<Data<'a>>),
}

impl<'a> Distillation<'a> {
    fn with(answers: Answers<'a>) -> Self {
        Distillation {
            answers,
            temperature: 4.0,
            alpha: 0.5,
        }
    }

    /// By this model, which stays as it is: it takes what the student takes, and has an output of the same shape.
    pub fn by(teacher: &'a Model) -> Self {
        Self::with(Answers::Of(teacher))
    }

    /// By answers that are known, in the order of the samples: logits.
    pub fn by_logits(answers: impl IntoData<'a>) -> Self {
        Self::with(Answers::Logits(answers.into_data()))
    }

    /// By answers that are known, in the order of the samples: probabilities of classes.
    pub fn by_probabilities(answers: impl IntoData<'a>) -> Self {
        Self::with(Answers::Probabilities(answers.into_data()))
    }

    /// What logits are divided by (4): the higher, the more small probabilities count.
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.temperature = temperature;
        self
    }

    /// The share of the teacher in the loss (.5).
    pub fn alpha(mut self, alpha: f32) -> Self {
        self.alpha = alpha;
        self
    }

    /// An error if the teacher is known to tell other classes than a student of these.
    pub(crate) fn check_classes(&self, student: Option<&[String]>) -> Result<()> {
        let Answers::Of(teacher) = &self.answers else {
            return Ok(());
        };
        let (Some(ours), Some(theirs)) = (student, teacher.class_names()) else {
            return Ok(());
        };
        match ours == theirs {
            true => Ok(()),
            false => {
                let expected = format!("a teacher of the student's classes, {}", ours.join(", "));
                let received = theirs.join(", ");
                let detail = Detail::new(teacher.name(), expected, received);
                let help = "a teacher must know the same classes, in the same order";
                Err(Error::Model(detail.help(help)))
            }
        }
    }

    /// What the teacher answers to the samples of `data`, for a student that has such outputs.
    ///
    /// # Errors
    /// Numbers without meaning; a student of several outputs; a teacher of other classes, or of labels; data whose samples
    /// are others in each epoch; answers that are not one row of numbers for each sample.
    pub(crate) fn taught(&self, student: &Network, data: &Samples<'_>) -> Result<Taught> {
        let setting = |at: &str, expected: &str, received: f32| {
            Error::Setting(Detail::new(
                format!("Distillation.{at}"),
                expected,
                received,
            ))
        };
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Err(setting(
                "temperature",
                "a finite number above 0",
                self.temperature,
            ));
        }
        if !(0.0..=1.0).contains(&self.alpha) {
            return Err(setting("alpha", "from 0 to 1", self.alpha));
        }
        let shapes = student.output_shapes();
        let [shape] = shapes.as_slice() else {
            let received = format!("{} outputs", shapes.len());
            let detail = Detail::new(student.name(), "a student with 1 output", received);
            return Err(Error::Model(detail.help("`train_step` takes any loss")));
        };
        let row = shape.sample().unwrap_or_default();
        if row.last().is_none_or(|&classes| classes < 2) {
            let detail = Detail::new(student.name(), "a student that tells classes", shape);
            let help = "two classes have two outputs with a softmax, or logits";
            return Err(Error::Model(detail.help(help)));
        }
        if let Ends::Sigmoid = ends(student)? {
            return Err(of_labels(student.name()));
        }
        let samples = data.source.data().len();
        let (mut values, are_probabilities) = match &self.answers {
            Answers::Of(teacher) => of_teacher(teacher, &row, data)?,
            Answers::Logits(given) => (of_array(given, &row, samples)?, false),
            Answers::Probabilities(given) => {
                let values = of_array(given, &row, samples)?;
                if let Some(at) = values.iter().position(|value| !(0.0..=1.0).contains(value)) {
                    let sample = at / row.iter().product::<usize>().max(1);
                    let at = format!("the teacher's answer to sample {sample}");
                    let expected = "probabilities, from 0 to 1";
                    let detail = Detail::new(at, expected, "another number");
                    return Err(Error::Data(detail.help("`by_logits` takes logits")));
                }
                (values, true)
            }
        };
        if are_probabilities {
            // Logits but for a number that is the same for all classes.
            values
                .iter_mut()
                .for_each(|value| *value = value.max(f32::MIN_POSITIVE).ln());
        }
        Ok(Taught {
            values,
            row,
            temperature: self.temperature,
            alpha: self.alpha,
        })
    }
}

/// What makes probabilities at the end of a network.
enum Ends {
    Logits,
    Softmax,
    Sigmoid,
}

fn ends(network: &Network) -> Result<Ends> {
    let graph = Graph::new();
    let inputs = Inputs::of(network)?.in_graph(&graph);
    let (outputs, _) = network.emit(&graph, &inputs, Mode::Inference)?;
    Ok(match outputs.first() {
        Some(output) if output.operands_of::<Softmax>().is_some() => Ends::Softmax,
        Some(output) if output.operands_of::<Map<Sigmoid>>().is_some() => Ends::Sigmoid,
        _ => Ends::Logits,
    })
}

fn of_labels(name: &str) -> Error {
    let expected = "answers to which class a sample is of";
    let received = "a sigmoid, for labels of which several may hold";
    Error::Model(Detail::new(name, expected, received).help("`train_step` takes any loss"))
}

/// What the teacher answers to the samples that belong to `data`, and whether these are probabilities.
fn of_teacher(teacher: &Model, row: &[usize], data: &Samples<'_>) -> Result<(Vec<f32>, bool)> {
    let shapes = teacher.output_shapes();
    let fits = matches!(shapes.as_slice(), [shape] if shape.sample().as_deref() == Some(row));
    if !fits {
        let expected = format!("a teacher with 1 output, {row:?} for a sample, as the student's");
        let received: Vec<String> = shapes.iter().map(ToString::to_string).collect();
        let detail = Detail::new(teacher.name(), expected, received.join(", "));
        let help = "a teacher must know the same classes, in the same order";
        return Err(Error::Model(detail.help(help)));
    }
    if !data.is_fixed() {
        let expected = "samples that are the same in each epoch";
        let detail = Detail::new("distillation", expected, "data that are drawn anew");
        let help = "let the student augment, by layers of its own, or let the teacher see what it sees, by \
                    `frozen` within `train_step`";
        return Err(Error::Data(detail.help(help)));
    }
    let are_probabilities = match ends(&teacher.network)? {
        Ends::Softmax => true,
        Ends::Logits => false,
        Ends::Sigmoid => return Err(of_labels(teacher.name())),
    };
    let source = data.source.data();
    let width: usize = row.iter().product();
    let mut answers = match &data.members {
        None => teacher.predict_dataset(source)?,
        Some(members) => {
            let members: Vec<usize> = members.iter().map(|&member| member as usize).collect();
            teacher.predict_dataset(&source.select(members)?)?
        }
    };
    let answers = answers.swap_remove(0);
    let values = match &data.members {
        None => answers.as_slice().to_vec(),
        Some(members) => {
            let mut values = vec![0.0; source.len() * width];
            for (&member, row) in members.iter().zip(answers.as_slice().chunks_exact(width)) {
                values[member as usize * width..][..width].copy_from_slice(row);
            }
            values
        }
    };
    Ok((values, are_probabilities))
}

/// Answers that were given, one row for each of so many samples.
fn of_array(given: &Result<Data<'_>>, row: &[usize], samples: usize) -> Result<Vec<f32>> {
    let at = "the teacher's answers";
    let data = match given {
        Ok(data) => data.clone().into_floats(),
        Err(error) => return Err(Error::Data(Detail::new(at, "an array of numbers", error))),
    };
    if data.shape.get(1..) != Some(row) || data.len() != samples {
        let wanted = [&[samples], row].concat();
        let expected = format!("{wanted:?}: a row for each sample, as the student answers");
        let received = format!("{:?}", data.shape);
        let detail = Detail::new(at, expected, received);
        let help = "a teacher must know the same classes, in the same order";
        return Err(Error::Data(detail.help(help)));
    }
    check_finite(at, &data)?;
    match data.values {
        Values::F32(values) => Ok(values.into_owned()),
        _ => Err(Error::Data(Detail::new(at, "numbers", "strings"))),
    }
}

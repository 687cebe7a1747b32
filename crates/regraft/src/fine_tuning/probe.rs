//! The head that is solved: where a last dense layer tells classes, its kernel and bias follow from the features of
//! what is before it.

use regraft_autograd::Shape;
use regraft_data::{Dataset, Part, Rows, Slice};
use regraft_layers::layers::Dense;

use crate::random::Key;
use crate::training::blocks::Block;
use crate::{Error, Model, Result};

/// A dense layer at the end of a model, and the class of each sample.
#[cfg_attr(
    not(feature = "heads"),
    expect(dead_code, reason = "there are none without that feature")
)]
pub(crate) struct Probe {
    path: String,
    width: usize,
    labels: Vec<i32>,
}

impl Probe {
    /// The head as one that can be solved: a single dense layer at the end of the model, trained with a crossentropy, and
    /// targets that name one class for each sample.
    pub fn of(model: &Model, data: &dyn Dataset, head: &[Block]) -> Result<Option<Self>> {
        let Some((path, width)) = dense(model, head).filter(|_| cfg!(feature = "heads")) else {
            return Ok(None);
        };
        if data.has_weights() {
            return Ok(None);
        }
        let labels = labels(data, Some(width))?;
        Ok(labels.map(|labels| Probe {
            path,
            width,
            labels,
        }))
    }

    /// Solves the head on the features of the samples that `data` has, and puts it into the model.
    #[cfg(feature = "heads")]
    pub fn solve(&self, model: &mut Model, data: &dyn Dataset) -> Result<()> {
        use regraft_tensor::Tensor;

        let base = model.cut_before(self.path.as_str())?;
        let features = base.predict_dataset(data)?.swap_remove(0);
        let classes = self.width.max(2);
        let solved = crate::heads::BestHead::new()
            .classes(classes)
            .fit(&features, &self.labels)?;
        let (kernel, bias) = (solved.kernel(), solved.bias());
        let values = match self.width {
            // What a sigmoid takes is the difference of two logits.
            1 => {
                let rows = kernel.as_slice().chunks_exact(2);
                let differences: Vec<f32> = rows.map(|row| row[1] - row[0]).collect();
                let [no, yes] = bias.as_slice() else {
                    unreachable!("there is a bias for each class")
                };
                let kernel = Tensor::new([differences.len(), 1], differences);
                vec![
                    kernel.expect("there is a difference for each feature"),
                    Tensor::from(ndarray::arr1(&[yes - no])),
                ]
            }
            _ => vec![kernel.clone(), bias.clone()],
        };
        Ok(model
            .network
            .set_layer_weights(self.path.as_str(), values)?)
    }

    #[cfg(not(feature = "heads"))]
    pub fn solve(&self, _model: &mut Model, _data: &dyn Dataset) -> Result<()> {
        let Probe { .. } = self;
        unreachable!("without the feature no head is one that can be solved")
    }
}

/// The path and the width of a head that is one dense layer at the end of a model, for classes.
fn dense(model: &Model, head: &[Block]) -> Option<(String, usize)> {
    let [block] = head else { return None };
    let [path] = block.layers.as_slice() else {
        return None;
    };
    let layer = model.get_layer(path.as_str()).ok()?;
    let is_dense = layer.layer().is_some_and(|layer| {
        let layer: &dyn std::any::Any = layer;
        layer.is::<Dense>()
    });
    let shapes: [Shape; 1] = model.output_shapes().try_into().ok()?;
    let width = match shapes[0].sample()?.as_slice() {
        &[width] => width,
        _ => return None,
    };
    let is_last = layer.output_shape() == Some(&shapes[0]);
    let for_classes = match layer.config().get("activation").and_then(|it| it.as_str()) {
        Some("linear") | None => true,
        Some("softmax") => width > 1,
        Some("sigmoid") => width == 1,
        Some(_) => false,
    };
    let losses = model
        .training
        .as_ref()?
        .objective
        .losses(&model.network)
        .ok()?;
    let loss = losses.first()?.as_ref()?.get().ok()?;
    let is_crossentropy = matches!(
        loss.class_name(),
        "SparseCategoricalCrossentropy" | "CategoricalCrossentropy" | "BinaryCrossentropy"
    );
    let fits = is_dense && is_last && for_classes && is_crossentropy && layer.weights().len() == 2;
    fits.then(|| (path.clone(), width))
}

/// The class of each sample, if the targets name one for each.
pub(crate) fn classes(data: &dyn Dataset) -> Result<Option<Vec<i32>>> {
    labels(data, None)
}

/// The class of each sample, if the targets name one for each: of `width` if that is given (of two, if that is 1). There
/// must be two at least.
fn labels(data: &dyn Dataset, width: Option<usize>) -> Result<Option<Vec<i32>>> {
    const AT_ONCE: usize = 4096;
    let (inputs, targets) = (data.inputs(), data.targets());
    let [target] = targets.as_slice() else {
        return Ok(None);
    };
    let elements = target.elements();
    if elements != 1 && width.is_some_and(|width| elements != width) {
        return Ok(None);
    }
    let mut rows = Rows::new(&inputs, &targets, false);
    for input in 0..inputs.len() {
        rows.want(Part::Input(input), false);
    }
    let mut labels = Vec::with_capacity(data.len());
    let samples: Vec<usize> = (0..data.len()).collect();
    for samples in samples.chunks(AT_ONCE) {
        rows.begin(samples.len());
        data.fill(samples, Key::new(0, 0), &mut rows)
            .map_err(Error::Data)?;
        match rows.get(Part::Target(0)) {
            Some(Slice::I32(classes)) if elements == 1 => labels.extend_from_slice(classes),
            Some(Slice::F32(values)) if elements == 1 => {
                labels.extend(values.iter().map(|&value| match value.fract() == 0.0 {
                    true => value as i32,
                    false => -1,
                }));
            }
            Some(Slice::F32(values)) => {
                labels.extend(values.chunks_exact(elements).map(|row| {
                    let one = row.iter().position(|&value| value == 1.0);
                    let sum: f32 = row.iter().map(|value| value.abs()).sum();
                    one.filter(|_| sum == 1.0).map_or(-1, |class| class as i32)
                }));
            }
            _ => return Ok(None),
        }
    }
    let classes = width.map_or(i32::MAX, |width| width.max(2) as i32);
    let all_known = labels.iter().all(|label| (0..classes).contains(label));
    let several = labels.iter().any(|label| *label != labels[0]);
    Ok((all_known && several).then_some(labels))
}

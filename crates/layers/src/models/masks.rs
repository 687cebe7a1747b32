//! What layers that look at masks share: bringing them into shape, and making one of several.
//!
//! A mask is 1 where a step counts and 0 where it is padding; it has the axes of its value but the last.

use regraft_autograd::{Error, Shape, Var};
use regraft_tensor::Detail;

use crate::Call;

/// The mask with an axis of size 1 at the end, so that it goes with `x`; the graph is told if it does
/// not.
pub(crate) fn along_features<'g>(mask: Var<'g>, x: Var<'g>) -> Var<'g> {
    let (given, shape) = (mask.shape(), x.shape());
    let rank = shape.rank().saturating_sub(1);
    let fits = given.rank() == rank
        && given
            .broadcast(&Shape::from_iter(shape.dims()[..rank].iter().copied()))
            .is_some();
    if !fits {
        let expected = format!("a mask with the axes of {shape} but the last");
        let detail = Detail::new("mask", expected, given);
        mask.graph().fail(Error::Shape(detail));
        return x.graph().full(shape, 1.0);
    }
    mask.expand_dims(rank)
}

/// 1 where either is.
pub(crate) fn either<'g>(a: Var<'g>, b: Var<'g>) -> Var<'g> {
    a.maximum(b)
}

/// 1 where one of the masks of `count` inputs is; nothing unless all have one.
pub(crate) fn either_of_all<'g>(call: &Call<'g, '_>, count: usize) -> Option<Var<'g>> {
    let masks: Option<Vec<Var<'g>>> = (0..count).map(|index| call.mask(index)).collect();
    masks?.into_iter().reduce(either)
}

/// The mask of inputs that are joined along `axis`; nothing unless one has a mask.
pub(crate) fn joined<'g>(call: &Call<'g, '_>, inputs: &[Var<'g>], axis: usize) -> Option<Var<'g>> {
    if (0..inputs.len()).all(|index| call.mask(index).is_none()) {
        return None;
    }
    let graph = call.graph();
    let mask = |(index, &x): (usize, &Var<'g>)| match call.mask(index) {
        None => graph.full(x.shape(), 1.0),
        Some(mask) if mask.shape().rank() == x.shape().rank() => mask,
        Some(mask) => along_features(mask, x).broadcast_to(x.shape()),
    };
    let masks: Vec<Var<'g>> = inputs.iter().enumerate().map(mask).collect();
    let all = graph.concatenate(&masks, axis);
    let last = all.shape().rank().checked_sub(1)?;
    Some(all.max(&[last]))
}

#[cfg(test)]
mod tests {
    use regraft_autograd::{Feed, Graph, Program, Run};
    use regraft_tensor::Tensor;
    use serde_json::Value;

    use super::*;
    use crate::golden::{cases, name, tensor, worst};
    use crate::losses::LossFunction;
    use crate::{Mode, Model, Registry};

    /// What a layer made of an input with a mask.
    struct Received {
        y: Vec<f32>,
        mask: Option<Vec<f32>>,
        loss: Option<f32>,
    }

    /// Runs the model of a case in inference, and the loss to 0 if it takes the mask.
    fn run(case: &Value) -> Result<Received, crate::Error> {
        let mut model = Model::from_config(&case["config"]["model"], &Registry::new())?;
        for weight in case["inputs"]["weights"].as_array().unwrap() {
            let path = weight["path"].as_str().unwrap();
            model.set_weight(path, tensor(&weight["value"]))?;
        }
        let inputs: Vec<Tensor> = case["inputs"]["x"]
            .as_array()
            .unwrap()
            .iter()
            .map(tensor)
            .collect();
        let feeds: Vec<Feed<'_>> = inputs.iter().map(|x| Feed::F32(x.as_slice())).collect();
        let run = |with_loss: bool| -> Result<Received, crate::Error> {
            let graph = Graph::new();
            let shapes = model.input_shapes().into_iter();
            let xs: Vec<Var<'_>> = shapes
                .map(|shape| graph.input("x", shape, regraft_autograd::DataType::F32))
                .collect();
            let (outputs, emission) = model.emit(&graph, &xs, Mode::Inference)?;
            let (y, mask) = (outputs[0], emission.masks[0]);
            let mut asked = vec![y];
            asked.extend(mask);
            if with_loss {
                let mse = LossFunction::from("mse");
                asked.push(mse.apply_masked(graph.full(y.shape(), 0.0), y, None, mask));
                graph.check()?;
            }
            let mut program = Program::from_nodes(graph.nodes_for(&asked)).workspace();
            program.run(
                inputs[0].shape()[0],
                &feeds,
                model.weights(),
                Run::default(),
            )?;
            Ok(Received {
                y: program.output(0).to_vec(),
                mask: mask.map(|_| program.output(1).to_vec()),
                loss: with_loss.then(|| program.output(asked.len() - 1)[0]),
            })
        };
        run(true).or_else(|_| run(false))
    }

    #[test]
    fn every_layer_treats_masks_as_keras_does() {
        let registry = Registry::new();
        let mut classes = std::collections::BTreeSet::new();
        let mut wrong = Vec::new();
        for case in [cases("masks"), cases("recurrent_masks")].concat() {
            let (name, outputs) = (name(&case), &case["outputs"]);
            let class = case["config"]["class"].as_str().unwrap();
            if !registry.class_names().contains(&class) {
                continue;
            }
            classes.insert(class.to_string());
            let received = match (run(&case), outputs["y"].is_null()) {
                (Ok(_), true) => {
                    wrong.push(format!("{name}: Keras refuses the mask"));
                    continue;
                }
                (Err(_), true) => continue,
                (Err(error), false) => {
                    wrong.push(format!("{name}: {error}"));
                    continue;
                }
                (Ok(received), false) => received,
            };
            let expected = tensor(&outputs["y"]);
            let (error, at) = worst(&received.y, expected.as_slice(), 1e-1);
            if error > 1e-5 {
                wrong.push(format!("{name}: {at}"));
            }
            let mask = (!outputs["mask"].is_null()).then(|| tensor(&outputs["mask"]));
            if received.mask.as_deref() != mask.as_ref().map(Tensor::as_slice) {
                wrong.push(format!(
                    "{name}: mask {:?} instead of {mask:?}",
                    received.mask
                ));
            }
            match (received.loss, outputs["loss"].as_f64()) {
                (Some(loss), Some(expected))
                    if worst(&[loss], &[expected as f32], 1e-2).0 <= 1e-5 => {}
                (None, None) => {}
                (loss, expected) => {
                    wrong.push(format!("{name}: loss {loss:?} instead of {expected:?}"))
                }
            }
        }
        let first: Vec<&str> = wrong
            .iter()
            .map(|line| line.get(..200).unwrap_or(line))
            .collect();
        assert!(wrong.is_empty(), "{}", first.join("\n"));
        // Cells, and what takes ids, codes or pictures as they come, and makes or drops masks by itself; attention and
        // KerasHub's layers have cases of their own.
        let others = [
            "AdditiveAttention",
            "Attention",
            "GroupQueryAttention",
            "MultiHeadAttention",
            "AugMix",
            "AutoContrast",
            "CategoryEncoding",
            "ContrastLimitedAdaptiveHistogramEqualization",
            "CutMix",
            "Discretization",
            "Embedding",
            "Equalization",
            "GRUCell",
            "Hashing",
            "InputLayer",
            "IntegerLookup",
            "LSTMCell",
            "MaxNumBoundingBoxes",
            "MixUp",
            "Pipeline",
            "PositionEmbedding",
            "SinePositionEncoding",
            "TokenAndPositionEmbedding",
            "TransformerEncoder",
            "RandAugment",
            "RandomBrightness",
            "RandomColorDegeneration",
            "RandomColorJitter",
            "RandomContrast",
            "RandomCrop",
            "RandomElasticTransform",
            "RandomErasing",
            "RandomFlip",
            "RandomGaussianBlur",
            "RandomGrayscale",
            "RandomHue",
            "RandomInvert",
            "RandomPerspective",
            "RandomPosterization",
            "RandomRotation",
            "RandomSaturation",
            "RandomSharpness",
            "RandomShear",
            "RandomTranslation",
            "RandomZoom",
            "SimpleRNNCell",
            "Solarization",
            "StringLookup",
            "TrivialAugment",
        ];
        let missing: Vec<&str> = crate::layers::TABLE
            .iter()
            .map(|(names, _)| names[0])
            .filter(|class| !classes.contains(*class) && !others.contains(class))
            .collect();
        assert!(missing.is_empty(), "layers without a case: {missing:?}");
    }
}

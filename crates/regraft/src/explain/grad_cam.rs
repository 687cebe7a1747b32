//! Where in a picture the answer comes from.

use regraft_autograd::{Graph, Var};
use regraft_layers::{LayerInfo, Model as Network};
use regraft_tensor::{Detail, Tensor};

use super::answer::{Answer, Classes};
use crate::training::input::IntoInputs;
use crate::{Error, Model, Result};

/// For each sample a heat map, from 0 to 1, of where the score of `class` comes from (Grad-CAM, Selvaraju et al.
/// 2017), as large as what `layer` gives:
///
/// relu(Σₖ αₖ Aₖ) / its largest value, with αₖ = the mean over the places of ∂ score / ∂ Aₖ
///
/// where Aₖ is channel k of the layer's output. Where nothing speaks for the class, all is 0. For a layer that
/// gives `(batch, rows, columns, channels)` that is `(batch, rows, columns)`; axes of one or three directions
/// serve too. To draw it over the picture, stretch it to the picture's size.
///
/// `layer` is the name or path of a layer, also within a nested model; without one it is the last that gives more
/// than one place and that the score depends on: of a convolutional network, what its global pooling takes. The
/// class is one for all samples, or one for each; the score is that of [`saliency`](super::saliency). The model
/// is in inference, may be frozen or not, and nothing of it changes.
///
/// ```
/// use regraft::layers::{Conv2D, Dense, GlobalAveragePooling2D, Input, layers};
/// use regraft::{Sequential, Tensor, explain};
///
/// let model = Sequential::new(layers![
///     Input::new([8, 8, 3]),
///     Conv2D::new(4, 3).activation("relu"),
///     GlobalAveragePooling2D::new(),
///     Dense::new(2).activation("softmax"),
/// ])?;
/// let pictures = Tensor::full([5, 8, 8, 3], 0.5);
/// let maps = explain::grad_cam(&model, &pictures, &[0, 1, 1, 0, 1], None)?;
/// assert_eq!(maps.shape(), [5, 6, 6]);
/// # Ok::<(), regraft::Error>(())
/// ```
///
/// # Errors
/// Data that do not fit the model, a class that it does not have, several inputs or outputs, a layer that is not
/// there, gives no places, or has no part in the score.
pub fn grad_cam<'a, 'c, 'l>(
    model: &Model,
    x: impl IntoInputs<'a>,
    class: impl Into<Classes<'c>>,
    layer: impl Into<Option<&'l str>>,
) -> Result<Tensor> {
    let network = &model.network;
    let graph = Graph::new();
    let answer = Answer::of(network, &graph)?;
    let (values, gradients, channels) = match layer.into() {
        Some(name) => of_layer(network, &answer, name)?,
        None => of_last(network, &answer)?,
    };
    let places: Vec<usize> = (1..values.shape().rank())
        .filter(|axis| *axis != channels)
        .collect();
    let weights = gradients.mean_keeping(&places);
    let map = (values * weights).sum(&[channels]).relu();
    let mut maps = answer.compute(network, map, x, class.into())?;
    let cells = maps.shape().iter().skip(1).product();
    for map in maps.as_mut_slice().chunks_mut(cells) {
        let most = map.iter().copied().fold(0.0, f32::max);
        if most > 0.0 {
            map.iter_mut().for_each(|value| *value /= most);
        }
    }
    Ok(maps)
}

/// What a layer gives, the score's gradient with respect to it, and which of its axes has the channels.
type Given<'g> = (Var<'g>, Var<'g>, usize);

fn of_layer<'g>(network: &Network, answer: &Answer<'g>, name: &str) -> Result<Given<'g>> {
    let layers = every_layer(network);
    let layer = network.get_layer(name)?;
    let wrong = |expected: &str, received: String| {
        let detail = Detail::new(layer.path(), expected, received);
        Error::Model(detail.help("name a convolution or an activation before the pooling, or none"))
    };
    let Some(values) = answer.emission.value(layer.path()) else {
        let received = "a layer whose formula its wrapper writes".to_string();
        return Err(wrong("a layer with an output of its own", received));
    };
    let channels = channels(&layers, layer.path(), values);
    if places(values, channels) == 0 {
        let received = format!("shape {}", values.shape());
        return Err(wrong("an output with places and channels", received));
    }
    let found = answer.graph.gradients(answer.score, &[values])?;
    let stopped = || format!("gradients stop at {}", found.stopped_at.join(", "));
    let gradient =
        found.values[0].ok_or_else(|| wrong("a layer that the score depends on", stopped()))?;
    Ok((values, gradient, channels))
}

fn of_last<'g>(network: &Network, answer: &Answer<'g>) -> Result<Given<'g>> {
    let layers = every_layer(network);
    let given = |layer: &LayerInfo<'_>| {
        let values = answer.emission.value(layer.path())?;
        let channels = channels(&layers, layer.path(), values);
        (places(values, channels) > 1).then_some((values, channels))
    };
    let mut given: Vec<(Var<'g>, usize)> = layers.iter().filter_map(given).collect();
    // Formulas stand in the order in which they are computed.
    given.sort_by_key(|(values, _)| std::cmp::Reverse(values.id()));
    given.dedup_by_key(|(values, _)| values.id());
    for (values, channels) in given {
        let found = answer.graph.gradients(answer.score, &[values])?;
        if let Some(gradient) = found.values[0] {
            return Ok((values, gradient, channels));
        }
    }
    let expected = "a layer that gives several places, on which the score depends";
    let detail = Detail::new(network.name(), expected, "none");
    Err(Error::Model(
        detail.help("for other models there is `saliency`"),
    ))
}

/// All layers, those of nested models after them.
fn every_layer(network: &Network) -> Vec<LayerInfo<'_>> {
    let mut found = Vec::new();
    let mut waiting = network.layers();
    waiting.reverse();
    while let Some(layer) = waiting.pop() {
        waiting.extend(layer.layers().into_iter().rev());
        found.push(layer);
    }
    found
}

/// The axis of channels of what the layer at `path` gives: the last, but for a layer that has them first, and
/// those after it that do not say.
fn channels(layers: &[LayerInfo<'_>], path: &str, values: Var<'_>) -> usize {
    let until = layers.iter().position(|layer| layer.path() == path);
    let before = &layers[..until.map_or(0, |place| place + 1)];
    let says = |layer: &LayerInfo<'_>| Some(layer.config().get("data_format")? == "channels_first");
    match before.iter().rev().find_map(says) {
        Some(true) => 1,
        _ => values.shape().rank().saturating_sub(1),
    }
}

/// How many places of a sample there are: all but its channels; 0 if it is no map.
fn places(values: Var<'_>, channels: usize) -> usize {
    let shape = values.shape();
    if !shape.is_batch_first() || shape.rank() < 3 {
        return 0;
    }
    let axes = shape.dims().iter().enumerate().skip(1);
    axes.filter(|(axis, _)| *axis != channels)
        .map(|(_, dim)| dim.size(1))
        .product()
}

//! A recurrent layer in both directions.

use std::sync::Arc;

use regraft_autograd::{Shape, Var};
use regraft_tensor::{Detail, snake_case};
use serde_json::{Value, json};

use super::walk::{Walk, reversed};
use super::{GRU, LSTM, RNN, SimpleRNN};
use crate::contract::layer::LayerKind;
use crate::layers::object;
use crate::settings::{Map, Settings, require};
use crate::{Call, Class, Configured, Flow, Layer, LayerSpec, Weights};

/// How the outputs of the two directions become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MergeMode {
    /// One behind the other along the features.
    #[default]
    Concat,
    /// Their sum.
    Sum,
    /// Their product.
    Mul,
    /// Their mean.
    Ave,
    /// Not at all: they are two outputs.
    Apart,
}

const NAMES: [(MergeMode, &str); 4] = [
    (MergeMode::Concat, "concat"),
    (MergeMode::Sum, "sum"),
    (MergeMode::Mul, "mul"),
    (MergeMode::Ave, "ave"),
];

/// A recurrent layer from the first step to the last and another like it from the last to the first, with weights of its
/// own; their outputs are merged, step by step where sequences are returned.
///
/// ```
/// use regraft_layers::layers::{Bidirectional, LSTM};
/// use regraft_layers::{Dense, Input, LayerExt, Sequential, layers};
///
/// let model = Sequential::new(layers![
///     Input::new([20, 8]),
///     Bidirectional::new(LSTM::new(16)).named("both"),
///     Dense::new(2),
/// ])?;
/// assert_eq!(model.get_layer("both")?.output_shape().unwrap().to_string(), "(None, 32)");
/// assert!(model.weight("both/backward_lstm/lstm_cell/kernel").is_some());
/// # Ok::<(), regraft_layers::Error>(())
/// ```
///
/// | | |
/// |---|---|
/// | input | `(batch, steps, …)`; behind it, in a functional model, the states to begin with, those of the first direction first |
/// | output | the merged outputs, or both with [`MergeMode::Apart`]; with `return_state` also the states of both |
/// | weights | those of the two layers: `bidirectional/forward_lstm/lstm_cell/kernel`, `bidirectional/backward_lstm/…` |
/// | defaults | outputs one behind the other along the features |
/// | mask | as [`LSTM`]; kept where sequences are returned; the outputs of steps that it leaves out are 0 then, as in Keras |
/// | frozen | what is in it is |
///
/// Keras: <https://keras.io/api/layers/recurrent_layers/bidirectional/>.
#[derive(Clone, Debug)]
pub struct Bidirectional {
    forward: LayerSpec,
    backward: LayerSpec,
    merge_mode: MergeMode,
}

/// The settings of a recurrent layer, and the layer with others.
fn walk_of(layer: &LayerSpec) -> Option<Walk> {
    let LayerKind::Leaf(layer) = &layer.kind else {
        return None;
    };
    let layer: &dyn std::any::Any = &**layer;
    None.or_else(|| layer.downcast_ref::<LSTM>().map(LSTM::walk))
        .or_else(|| layer.downcast_ref::<GRU>().map(GRU::walk))
        .or_else(|| layer.downcast_ref::<SimpleRNN>().map(SimpleRNN::walk))
        .or_else(|| layer.downcast_ref::<RNN>().map(RNN::walk))
}

fn with_walk(mut spec: LayerSpec, walk: Walk) -> LayerSpec {
    let LayerKind::Leaf(layer) = &spec.kind else {
        return spec;
    };
    let layer: &dyn std::any::Any = &**layer;
    fn made<L: Layer>(layer: Option<L>) -> Option<Arc<dyn Layer>> {
        layer.map(|layer| -> Arc<dyn Layer> { Arc::new(layer) })
    }
    let changed = made(layer.downcast_ref::<LSTM>().map(|it| it.with_walk(walk)))
        .or_else(|| made(layer.downcast_ref::<GRU>().map(|it| it.with_walk(walk))))
        .or_else(|| {
            made(
                layer
                    .downcast_ref::<SimpleRNN>()
                    .map(|it| it.with_walk(walk)),
            )
        })
        .or_else(|| made(layer.downcast_ref::<RNN>().map(|it| it.with_walk(walk))));
    if let Some(changed) = changed {
        spec.kind = LayerKind::Leaf(changed);
    }
    spec
}

/// The name of one direction of a layer.
fn direction(spec: &LayerSpec, prefix: &str) -> String {
    let class = match &spec.kind {
        LayerKind::Leaf(layer) => snake_case(layer.class_name()),
        LayerKind::Nested(model) => model.name().to_string(),
    };
    let name = spec.name.clone().unwrap_or(class);
    format!("{prefix}{}", name.strip_prefix(prefix).unwrap_or(&name))
}

impl Bidirectional {
    /// This recurrent layer in both directions: [`LSTM`], [`GRU`], [`SimpleRNN`] or [`RNN`].
    pub fn new(layer: impl Into<LayerSpec>) -> Self {
        let layer: LayerSpec = layer.into();
        let backward = match walk_of(&layer) {
            Some(walk) => {
                let walk = Walk {
                    go_backwards: true,
                    ..walk
                };
                with_walk(layer.clone(), walk)
            }
            None => layer.clone(),
        };
        let (forward_name, backward_name) = (
            direction(&layer, "forward_"),
            direction(&layer, "backward_"),
        );
        Bidirectional {
            forward: layer.named(forward_name),
            backward: backward.named(backward_name),
            merge_mode: MergeMode::Concat,
        }
        .with_zeros()
    }

    /// Another layer from the last step to the first, which must say so (`go_backwards`).
    #[must_use]
    pub fn backward_layer(mut self, layer: impl Into<LayerSpec>) -> Self {
        self.backward = layer.into();
        self.with_zeros()
    }

    /// How the outputs become one.
    #[must_use]
    pub fn merge_mode(mut self, merge_mode: MergeMode) -> Self {
        self.merge_mode = merge_mode;
        self
    }

    pub(crate) fn from_layers(
        layer: LayerSpec,
        backward: Option<LayerSpec>,
        settings: &Settings<'_>,
    ) -> Result<Self, Detail> {
        settings.unsupported(&["num_constants", "weights"])?;
        let mut made = Self::new(layer);
        if let Some(mut backward) = backward {
            if backward.keras2 {
                // Keras 2 renames the layer, but not in the configuration that it keeps of it.
                backward.name = Some(direction(&backward, "backward_"));
            }
            made = made.backward_layer(backward);
        }
        let merge_mode = match settings.is_null("merge_mode") {
            true => MergeMode::Apart,
            false => settings.one_of("merge_mode", &NAMES)?,
        };
        settings.ignore(&["merge_mode"]);
        Ok(made.merge_mode(merge_mode))
    }

    /// Where sequences are returned, the outputs of steps that a mask leaves out are 0, as Keras has it.
    fn with_zeros(mut self) -> Self {
        for layer in [&mut self.forward, &mut self.backward] {
            if let Some(walk) = walk_of(layer) {
                let walk = Walk {
                    zero_output_for_mask: walk.return_sequences,
                    ..walk
                };
                *layer = with_walk(layer.clone(), walk);
            }
        }
        self
    }

    fn walks(&self) -> Result<[Walk; 2], Detail> {
        let walk = |layer: &LayerSpec| {
            walk_of(layer).ok_or_else(|| {
                let received = match &layer.kind {
                    LayerKind::Leaf(layer) => layer.class_name(),
                    LayerKind::Nested(_) => "a model",
                };
                Detail::new("layer", "an LSTM, GRU, SimpleRNN or RNN", received)
            })
        };
        Ok([walk(&self.forward)?, walk(&self.backward)?])
    }

    /// What a direction is given of the inputs: the sequence, and its half of the states.
    fn of_direction<T>(index: usize, inputs: &[T]) -> impl Iterator<Item = &T> {
        let (first, states) = inputs.split_at(inputs.len().min(1));
        let half = states.len() / 2;
        let states = match index {
            0 => &states[..half],
            _ => &states[half..],
        };
        first.iter().chain(states)
    }
}

impl Configured for Bidirectional {
    fn class(&self) -> Class<'_> {
        Class::new("keras.layers.Bidirectional")
    }

    fn config(&self) -> Map {
        let name = NAMES.iter().find(|(mode, _)| *mode == self.merge_mode);
        let name = name.map_or(Value::Null, |(_, name)| (*name).into());
        object(json!({ "merge_mode": name }))
    }
}

impl Layer for Bidirectional {
    fn flow(&self) -> Flow {
        Flow::Features
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let [forward, backward] = self.walks()?;
        let pair = [forward.go_backwards, backward.go_backwards];
        let expected = "layers that go in different directions (`go_backwards`)";
        require(pair[0] != pair[1], "backward_layer", expected, pair)?;
        let told = |walk: Walk| [walk.return_sequences, walk.return_state];
        let expected = "the same `return_sequences` and `return_state` in both directions";
        let same = told(forward) == told(backward);
        require(
            same,
            "backward_layer",
            expected,
            [told(forward), told(backward)],
        )?;
        let even = inputs.len() % 2 == 1;
        let expected = "a sequence, and as many states for each direction";
        require(even, "initial_state", expected, inputs.len())
    }

    fn wrapped(&self) -> Vec<(&'static str, LayerSpec)> {
        vec![
            ("forward_layer", self.forward.clone()),
            ("backward_layer", self.backward.clone()),
        ]
    }

    fn wrapped_inputs(&self, index: usize, inputs: &[Shape]) -> Vec<Shape> {
        Self::of_direction(index, inputs).cloned().collect()
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.call_all(call, inputs)[0]
    }

    fn call_all<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Var<'g>> {
        let Ok([walk, _]) = self.walks() else {
            return inputs[..1].to_vec();
        };
        let mask = call.mask_with_states(inputs.len());
        let one = |index: usize| {
            let inputs: Vec<Var<'g>> = Self::of_direction(index, inputs).copied().collect();
            let mut masks = vec![None; inputs.len()];
            masks[0] = mask;
            call.wrapped_all(index, &inputs, &masks)
        };
        let (mut forward, mut backward) = (one(0).into_iter(), one(1).into_iter());
        let (Some(y), Some(mut back)) = (forward.next(), backward.next()) else {
            return inputs[..1].to_vec();
        };
        if walk.return_sequences {
            back = reversed(back);
        }
        let last = y.shape().rank() - 1;
        let mut results = match self.merge_mode {
            MergeMode::Concat => vec![call.graph().concatenate(&[y, back], last)],
            MergeMode::Sum => vec![y + back],
            MergeMode::Mul => vec![y * back],
            MergeMode::Ave => vec![(y + back) / 2.0],
            MergeMode::Apart => vec![y, back],
        };
        results.extend(forward.chain(backward));
        results
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        let walk = self.walks().ok()?[0];
        call.mask(0).filter(|_| walk.return_sequences)
    }

    fn masks<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Option<Var<'g>>> {
        let outputs = match self.merge_mode {
            MergeMode::Apart => 2,
            _ => 1,
        };
        vec![self.mask(call, inputs); outputs]
    }
}

//! A recurrent layer around any cell.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::json;

use super::walk::{Walk, step_of};
use crate::contract::layer::LayerKind;
use crate::layers::object;
use crate::settings::{Map, Settings};
use crate::{Call, Class, Configured, Flow, IntoSetting, Layer, LayerSpec, Regularizer, Weights};

/// A cell over the steps of a sequence: [`LSTMCell`](super::LSTMCell), [`GRUCell`](super::GRUCell),
/// [`SimpleRNNCell`](super::SimpleRNNCell), several on top of each other, or one of your own: a layer that says the sizes
/// of its states ([`Layer::state_sizes`]) and gives, for one step and the states before it, its output and the states after
/// it ([`Layer::call_all`]).
///
/// ```
/// use regraft_layers::layers::RNN;
/// use regraft_layers::{Call, Configured, Initializer, Input, Layer, Sequential, Weights, layers};
/// use regraft_autograd::{Shape, Var};
/// use regraft_tensor::Detail;
///
/// /// h = keep · h + (1 − keep) · x, with a `keep` for each feature.
/// #[derive(Debug)]
/// struct Average;
///
/// impl Configured for Average {}
///
/// impl Layer for Average {
///     fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
///         let features = inputs[0].sample().unwrap_or_default();
///         weights.parameter("keep", features, &Initializer::ones());
///         Ok(())
///     }
///     fn state_sizes(&self, step: &Shape) -> Vec<Vec<usize>> {
///         vec![step.sample().unwrap_or_default()]
///     }
///     fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
///         self.call_all(call, inputs)[0]
///     }
///     fn call_all<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Var<'g>> {
///         let (x, keep) = (inputs[0], call.weight("keep"));
///         // Without a state, where the model is put together.
///         let h = inputs.get(1).copied().unwrap_or(x);
///         let h = keep * h + (keep * -1.0 + 1.0) * x;
///         vec![h, h]
///     }
/// }
///
/// let model = Sequential::new(layers![Input::new([7, 3]), RNN::new(Average)])?;
/// assert_eq!(model.output_shape()?.to_string(), "(None, 3)");
/// # Ok::<(), regraft_layers::Error>(())
/// ```
///
/// | | |
/// |---|---|
/// | input | `(batch, steps, …)`; behind it, in a functional model, the states to begin with |
/// | output | the cell's last one, or that of every step with `return_sequences`; with `return_state` also the states after the last step |
/// | weights | those of the cell under its name: `rnn/lstm_cell/kernel` |
/// | mask | a step that is left out keeps the states, and gives the output before it, or 0 with `zero_output_for_mask` |
/// | frozen | what is in it is |
///
/// Keras' own cells are computed as their layers; another is written into the graph once for each step.
///
/// Keras: <https://keras.io/api/layers/recurrent_layers/rnn/>.
#[derive(Clone, Debug)]
pub struct RNN {
    cell: LayerSpec,
    return_sequences: bool,
    return_state: bool,
    go_backwards: bool,
    stateful: bool,
    unroll: bool,
    zero_output_for_mask: bool,
    activity_regularizer: Option<Regularizer>,
}

impl RNN {
    /// A layer with this cell.
    pub fn new(cell: impl Into<LayerSpec>) -> Self {
        RNN {
            cell: cell.into(),
            return_sequences: false,
            return_state: false,
            go_backwards: false,
            stateful: false,
            unroll: false,
            zero_output_for_mask: false,
            activity_regularizer: None,
        }
    }

    /// Whether the output of every step is given.
    #[must_use]
    pub fn return_sequences(mut self, return_sequences: bool) -> Self {
        self.return_sequences = return_sequences;
        self
    }

    /// Whether the states after the last step are given as further outputs.
    #[must_use]
    pub fn return_state(mut self, return_state: bool) -> Self {
        self.return_state = return_state;
        self
    }

    /// Whether the steps are taken from the last to the first.
    #[must_use]
    pub fn go_backwards(mut self, go_backwards: bool) -> Self {
        self.go_backwards = go_backwards;
        self
    }

    /// Whether the output of a step that the mask leaves out is 0, instead of the output before it.
    #[must_use]
    pub fn zero_output_for_mask(mut self, zero_output_for_mask: bool) -> Self {
        self.zero_output_for_mask = zero_output_for_mask;
        self
    }

    /// A penalty on the outputs, divided by the batch size as Keras does.
    #[must_use]
    pub fn activity_regularizer(
        mut self,
        regularizer: impl IntoSetting<Option<Regularizer>>,
    ) -> Self {
        self.activity_regularizer = regularizer.into_setting();
        self
    }

    pub(crate) fn from_layer(cell: LayerSpec, settings: &Settings<'_>) -> Result<Self, Detail> {
        settings.unsupported(&["time_major"])?;
        let flag =
            |key: &str| -> Result<bool, Detail> { Ok(settings.get::<bool>(key)?.unwrap_or(false)) };
        Ok(RNN {
            cell,
            return_sequences: flag("return_sequences")?,
            return_state: flag("return_state")?,
            go_backwards: flag("go_backwards")?,
            stateful: flag("stateful")?,
            unroll: flag("unroll")?,
            zero_output_for_mask: flag("zero_output_for_mask")?,
            activity_regularizer: settings.get("activity_regularizer")?,
        })
    }

    fn leaf(&self) -> Result<&dyn Layer, Detail> {
        match &self.cell.kind {
            LayerKind::Leaf(layer) => Ok(&**layer),
            LayerKind::Nested(_) => {
                let expected = "a cell: a layer that says the sizes of its states";
                Err(Detail::new("cell", expected, "a model"))
            }
        }
    }

    /// The same layer with other settings of these.
    pub(super) fn with_walk(&self, walk: Walk) -> Self {
        RNN {
            return_sequences: walk.return_sequences,
            return_state: walk.return_state,
            go_backwards: walk.go_backwards,
            stateful: walk.stateful,
            zero_output_for_mask: walk.zero_output_for_mask,
            ..self.clone()
        }
    }

    pub(super) fn walk(&self) -> Walk {
        Walk {
            return_sequences: self.return_sequences,
            return_state: self.return_state,
            go_backwards: self.go_backwards,
            stateful: self.stateful,
            zero_output_for_mask: self.zero_output_for_mask,
        }
    }
}

impl Configured for RNN {
    fn class(&self) -> Class<'_> {
        Class::new("keras.layers.RNN")
    }

    fn config(&self) -> Map {
        let mut config = object(json!({
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
        }));
        if let Some(regularizer) = &self.activity_regularizer {
            config.insert("activity_regularizer".into(), regularizer.serialize());
        }
        config
    }
}

impl Layer for RNN {
    fn flow(&self) -> Flow {
        match self.leaf() {
            Ok(cell) => cell.flow(),
            Err(_) => Flow::Unknown,
        }
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        self.walk().check(self.leaf()?, inputs)
    }

    fn wrapped(&self) -> Vec<(&'static str, LayerSpec)> {
        vec![("cell", self.cell.clone())]
    }

    fn wrapped_inputs(&self, _index: usize, inputs: &[Shape]) -> Vec<Shape> {
        step_of(inputs)
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.call_all(call, inputs)[0]
    }

    fn call_all<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Var<'g>> {
        let Ok(cell) = self.leaf() else {
            return inputs[..1].to_vec();
        };
        let results = self.walk().call(call, cell, inputs);
        for &result in &results {
            call.activity_penalty(&self.activity_regularizer, result);
        }
        results
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0).filter(|_| self.return_sequences)
    }
}

//! What a layer is: the weights it declares, and the formula from its inputs to its output. It holds
//! no values itself; the model does, and with them freezing, loading and saving, so that a layer of
//! your own has all of these without doing anything for them.

use std::any::Any;
use std::sync::Arc;

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;

use crate::contract::freezing::Alone;
use crate::contract::over_time::{OverTime, Sequence};
use crate::{Call, Configured, ElementType, Flow, Freezing, Model, Weights};

/// A layer of a model: a class with settings ([`Configured`], which [`settings!`](crate::settings!)
/// implements for those that have some), and what it computes.
///
/// ```
/// use regraft_layers::{
///     Call, Configured, Dense, Initializer, Input, Layer, Sequential, Weights, layers,
/// };
/// use regraft_autograd::{Shape, Var};
/// use regraft_tensor::Detail;
///
/// /// y = x · scale, with one scale per feature.
/// #[derive(Debug)]
/// struct Scale;
///
/// impl Configured for Scale {}
///
/// impl Layer for Scale {
///     fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
///         let features = inputs[0].sample().unwrap_or_default();
///         weights.parameter("scale", features, &Initializer::ones());
///         Ok(())
///     }
///     fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
///         inputs[0] * call.weight("scale")
///     }
/// }
///
/// let mut model = Sequential::new(layers![Input::new([4]), Scale, Dense::new(2)])?;
/// model.freeze("scale")?;
/// assert_eq!(model.count_parameters().frozen, 4);
/// # Ok::<(), regraft_layers::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer",
    note = "implement `regraft_layers::Layer` (and `Configured`): `call` and, if it has weights, `build`"
)]
pub trait Layer: Any + Configured {
    /// Declares the weights for inputs of these shapes, in the order in which files store them.
    /// None by default.
    ///
    /// # Errors
    /// What was expected of the inputs or the settings; the model adds where.
    fn build(&self, _inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        Ok(())
    }

    /// The formula from the inputs to the output. [`Call`] has the weights and says whether the
    /// layer behaves as in training.
    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g>;

    /// All results, for a layer of several; unless stated otherwise, that of [`call`](Layer::call)
    /// alone.
    fn call_all<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Var<'g>> {
        vec![self.call(call, inputs)]
    }

    /// The mask of the (first) output: which of its steps count, 1 where they do and 0 where they are
    /// padding, or nothing if all do.
    ///
    /// [`Call::mask`] has the masks of the inputs. A layer that keeps the steps apart returns that of
    /// its input, `call.mask(0)`. By default it is dropped, as with Keras' `supports_masking = False`.
    ///
    /// ```
    /// use regraft_autograd::Var;
    /// use regraft_layers::{Call, Configured, Input, Layer, Sequential, layers};
    /// use regraft_layers::layers::{GlobalAveragePooling1D, Masking};
    ///
    /// /// The differences of 5 steps, for those that count.
    /// #[derive(Debug)]
    /// struct Steps;
    ///
    /// impl Configured for Steps {}
    ///
    /// impl Layer for Steps {
    ///     fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
    ///         let x = inputs[0];
    ///         let difference = x.slice(1, 1..5) - x.slice(1, 0..4);
    ///         match call.mask(0) {
    ///             // (batch, steps) along the features.
    ///             Some(mask) => mask.slice(1, 1..5).expand_dims(2).select(difference, 0.0),
    ///             None => difference,
    ///         }
    ///     }
    ///     // One step less than the input has.
    ///     fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
    ///         call.mask(0).map(|mask| mask.slice(1, 1..5))
    ///     }
    /// }
    ///
    /// let stack = layers![Input::new([5, 3]), Masking::new(), Steps, GlobalAveragePooling1D::new()];
    /// let model = Sequential::new(stack)?;
    /// assert_eq!(model.output_shape()?.to_string(), "(None, 3)");
    /// # Ok::<(), regraft_layers::Error>(())
    /// ```
    fn mask<'g>(&self, _call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        None
    }

    /// The masks of all outputs, for a layer of several; unless stated otherwise, that of [`mask`](Layer::mask) for the
    /// first alone.
    fn masks<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Option<Var<'g>>> {
        vec![self.mask(call, inputs)]
    }

    /// Whether the values that it was given have no masks for who reads them afterwards, which is what Keras 3's
    /// attention with several heads does to its inputs.
    fn clears_masks(&self) -> bool {
        false
    }

    /// What becomes of the places of a sample's elements, which tells what the rows of a kernel behind a
    /// flatten mean in a program with the channels first. Nothing is known by default, and such weights
    /// are refused then.
    fn flow(&self) -> Flow {
        Flow::Unknown
    }

    /// The layers that this one contains, each under the name of the attribute that Keras keeps it in
    /// (`layer`): a wrapper calls them with [`Call::wrapped`]. They are layers of the model like others,
    /// with weights, freezing states and paths of their own (`wrapper/inner/kernel`). None by default.
    fn wrapped(&self) -> Vec<(&'static str, LayerSpec)> {
        Vec::new()
    }

    /// The contained layer at `index` as it is for inputs of these shapes, which [`build`](Layer::build) has checked, if
    /// what it is depends on them. By default it is that of [`wrapped`](Layer::wrapped).
    fn wrapped_layer(&self, _index: usize, _inputs: &[Shape]) -> Option<Arc<dyn Layer>> {
        None
    }

    /// The shapes of the inputs with which the contained layer at `index` is called, for inputs of
    /// these shapes, which [`build`](Layer::build) has checked: the same unless stated otherwise.
    fn wrapped_inputs(&self, _index: usize, inputs: &[Shape]) -> Vec<Shape> {
        inputs.to_vec()
    }

    /// The weights of contained layers that this one keeps in front of its own, as Keras' wrappers do that
    /// say `self.kernel = self.layer.kernel`: the index of the layer, and the weight's name, which it need
    /// not have. Keras' files have such a weight twice. None by default.
    fn wrapped_weights(&self) -> Vec<(usize, &'static str)> {
        Vec::new()
    }

    /// Whether a configuration has the layers that this one contains, under their attributes. A layer that makes them of
    /// its own settings says no, as Keras' `LSTM`, which has those of its cell among its own; they are in its state then.
    fn writes_wrapped(&self) -> bool {
        true
    }

    /// Of a cell, the sizes of its states without the batch, for one step of a sequence of this shape: what
    /// [`RNN`](crate::layers::RNN) takes from step to step. A cell is [called](Layer::call_all) with one step and the
    /// states, and gives its output and the states after the step. No states, the default: it is no cell.
    fn state_sizes(&self, _step: &Shape) -> Vec<Vec<usize>> {
        Vec::new()
    }

    /// Of a cell, all steps at once, if it can do that better than step by step, which is what happens where there is
    /// nothing, the default.
    fn over_time<'g>(
        &self,
        _call: &Call<'g, '_>,
        _sequence: &Sequence<'g>,
    ) -> Option<OverTime<'g>> {
        None
    }

    /// The element type of the inputs: floats, unless the layer looks up token ids. What is of
    /// another type is converted, as Keras does.
    fn input_type(&self) -> DataType {
        DataType::F32
    }

    /// Whether the layer takes inputs of any type as they are: it only moves elements, or looks at
    /// [`Call::input_types`] itself.
    fn takes_any_type(&self) -> bool {
        false
    }

    /// The element types of the results for inputs of these shapes and types, as Keras names them. `None`, the
    /// default: that of the inputs if the layer [takes any](Layer::takes_any_type), else what the
    /// results are in the data-flow graph.
    fn output_types(&self, _shapes: &[Shape], _types: &[ElementType]) -> Option<Vec<ElementType>> {
        None
    }

    /// The layer as it works on what [`look_up`](Self::look_up) makes of strings, for a layer behind an
    /// input of strings. By default a layer takes none.
    fn of_strings(&self) -> Option<Arc<dyn Layer>> {
        None
    }

    /// The integer by which a string is known to the layer. Strings never reach the graph: what a model is
    /// given is looked up before it runs.
    ///
    /// # Errors
    /// A string that the layer does not know; by default all.
    fn look_up(&self, text: &str) -> Result<i32, Detail> {
        Err(Detail::new(
            "",
            "a layer that takes strings",
            format!("{text:?}"),
        ))
    }

    /// The string that an element of the layer's output stands for; by default it is a number.
    fn spell(&self, _number: i32) -> Option<String> {
        None
    }
}

/// A layer on its way into a model: the layer or nested model, a name if it shall have a particular
/// one, and whether it arrives frozen.
#[derive(Clone, Debug)]
pub struct LayerSpec {
    pub(crate) kind: LayerKind,
    pub(crate) name: Option<String>,
    pub(crate) freezing: Freezing,
    /// The state that what it contains arrives in, if not its own: files say those of all layers.
    pub(crate) within: Option<Freezing>,
    /// See [`Entry::alone`](crate::models::topology::Entry::alone).
    pub(crate) alone: Alone,
    /// The states of layers that it makes itself ([`Layer::writes_wrapped`]), by their names, where they have one
    /// of their own.
    pub(crate) parts: Vec<(String, Freezing)>,
    /// See [`Entry::policy`](crate::models::topology::Entry::policy).
    pub(crate) policy: Option<String>,
    /// See [`Entry::keras2`](crate::models::topology::Entry::keras2).
    pub(crate) keras2: bool,
}

/// A single layer, or a model used as one.
#[derive(Clone, Debug)]
pub(crate) enum LayerKind {
    Leaf(Arc<dyn Layer>),
    Nested(Box<Model>),
}

impl LayerSpec {
    /// See [`Layer::writes_wrapped`].
    pub(crate) fn writes_wrapped(&self) -> bool {
        match &self.kind {
            LayerKind::Leaf(layer) => layer.writes_wrapped(),
            LayerKind::Nested(_) => true,
        }
    }

    /// Gives the layer a name instead of the automatic one.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Makes the layer arrive frozen.
    #[must_use]
    pub fn frozen(mut self) -> Self {
        self.freezing = Freezing::Frozen;
        self
    }
}

impl<L: Layer> From<L> for LayerSpec {
    fn from(layer: L) -> Self {
        let layer: Arc<dyn Layer> = Arc::new(layer);
        layer.into()
    }
}

impl From<Arc<dyn Layer>> for LayerSpec {
    fn from(layer: Arc<dyn Layer>) -> Self {
        LayerSpec {
            kind: LayerKind::Leaf(layer),
            name: None,
            freezing: Freezing::Trainable,
            within: None,
            alone: Alone::new(),
            parts: Vec::new(),
            policy: None,
            keras2: false,
        }
    }
}

impl From<Model> for LayerSpec {
    fn from(model: Model) -> Self {
        LayerSpec {
            name: Some(model.name().to_string()),
            kind: LayerKind::Nested(Box::new(model)),
            freezing: Freezing::Trainable,
            within: None,
            alone: Alone::new(),
            parts: Vec::new(),
            policy: None,
            keras2: false,
        }
    }
}

/// What every layer can be told on its way into a model.
pub trait LayerExt: Into<LayerSpec> + Sized {
    /// Gives the layer a name instead of the automatic one: `Dense::new(10).named("head")`.
    fn named(self, name: impl Into<String>) -> LayerSpec {
        self.into().named(name)
    }

    /// Makes the layer arrive frozen.
    fn frozen(self) -> LayerSpec {
        self.into().frozen()
    }
}

impl<L: Layer> LayerExt for L {}
impl LayerExt for Model {}

/// A list of layers of different kinds: `layers![Input::new([4]), Dense::new(2)]`.
#[macro_export]
macro_rules! layers {
    ($($layer:expr),* $(,)?) => {
        vec![$($crate::LayerSpec::from($layer)),*]
    };
}

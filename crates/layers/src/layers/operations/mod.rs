//! Operations of `keras.ops` as layers: what `x + 3.0` in a functional model is in Keras' files.
//!
//! Every operation is declared once, as a line of a table in the file of its subject: Keras' class
//! and module, what it takes, its formula, and the functions of TensorFlow that are the same.

mod alignment;
pub(crate) mod arguments;
mod comparison;
mod creation;
mod crossentropy;
mod declaration;
mod elementwise;
mod fourier;
mod images;
mod indexing;
mod linear_algebra;
mod linear_systems;
mod neural;
mod ordering;
mod patches;
mod reduction;
mod shape;
mod typed;
mod warps;

use std::collections::BTreeMap;
use std::sync::Arc;

use regraft_autograd::{Error, Graph, Shape, Var};
use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value, json};

use crate::settings::{Settings, number};
use crate::{Activation, Call, Class, Configured, ElementType, Flow, Layer, Weights, activations};
use arguments::{Argument, Arguments, constants};
pub(crate) use declaration::{Declared, Function, Takes};
use declaration::{NN, X};
use typed::Typed;

/// The tables, one for each subject.
const TABLES: [&[Declared]; 16] = [
    elementwise::TABLE,
    comparison::TABLE,
    reduction::TABLE,
    shape::TABLE,
    indexing::TABLE,
    ordering::TABLE,
    linear_algebra::TABLE,
    linear_systems::TABLE,
    neural::TABLE,
    images::TABLE,
    creation::TABLE,
    crossentropy::TABLE,
    fourier::TABLE,
    patches::TABLE,
    warps::TABLE,
    alignment::TABLE,
];

/// Activations that are operations of `keras.ops.nn`, with the functions of TensorFlow that are the
/// same; `tanh` is one of `keras.ops.numpy`.
const ACTIVATIONS: &[(&str, &[Function])] = &[
    ("Celu", &[]),
    ("Elu", &[declaration::function("nn.elu Elu", "features=x")]),
    (
        "Gelu",
        &[declaration::function("nn.gelu", "features=x").with(r#"{"approximate": false}"#)],
    ),
    ("Glu", &[]),
    ("HardShrink", &[]),
    ("HardSigmoid", &[]),
    ("HardSilu", &[]),
    ("HardTanh", &[]),
    (
        "LeakyRelu",
        &[declaration::function(
            "nn.leaky_relu LeakyRelu",
            "features=x alpha=negative_slope",
        )],
    ),
    ("LogSigmoid", &[declaration::function("log_sigmoid", "x")]),
    (
        "LogSoftmax",
        &[declaration::function("nn.log_softmax", "logits=x axis")],
    ),
    (
        "Relu",
        &[declaration::function("nn.relu relu Relu", "features=x")],
    ),
    (
        "Relu6",
        &[declaration::function("nn.relu6 Relu6", "features=x")],
    ),
    (
        "Selu",
        &[declaration::function("nn.selu Selu", "features=x")],
    ),
    (
        "Sigmoid",
        &[declaration::function("sigmoid nn.sigmoid Sigmoid", "x")],
    ),
    (
        "Silu",
        &[declaration::function("nn.silu nn.swish", "features=x beta")],
    ),
    ("SoftShrink", &[]),
    (
        "Softmax",
        &[declaration::function("nn.softmax softmax", "logits=x axis")],
    ),
    (
        "Softplus",
        &[declaration::function(
            "softplus nn.softplus Softplus",
            "features=x",
        )],
    ),
    (
        "Softsign",
        &[declaration::function(
            "softsign nn.softsign Softsign",
            "features=x",
        )],
    ),
    ("SparsePlus", &[]),
    ("SparseSigmoid", &[]),
    ("Sparsemax", &[]),
    ("Squareplus", &[]),
    ("TanhShrink", &[]),
    ("Threshold", &[]),
];

/// A formula of `keras.ops` on values and constants, for functional models.
///
/// ```
/// use regraft_layers::{Functional, layers::{Multiply, Operation, ReLU}};
///
/// // x · relu6(x + 3) / 6
/// let mut f = Functional::new();
/// let x = f.input([4]);
/// let y = f.apply(Operation::new("Add").constant(1, 3.0), &[x])?;
/// let y = f.apply(ReLU::new().max_value(6.0), &[y])?;
/// let y = f.apply(Operation::new("Multiply").constant(1, 1.0 / 6.0), &[y])?;
/// let y = f.apply(Multiply, &[x, y])?;
/// let model = f.model(&[x], &[y])?;
/// # Ok::<(), regraft_layers::Error>(())
/// ```
///
/// It is named by Keras' class (`Sum`, `GetItem`, `Einsum`), and takes what the function of
/// `keras.ops` takes, under the same names; [`known`](Self::known) lists the classes. An operation may
/// have several results (`Split`, `TopK`): `Functional::outputs_of` has them.
///
/// Integers and truth values are computed as such, and types are promoted as Keras does. What would
/// mix samples (an operation over the batch) is an error, and so is a result whose shape depends on
/// the data.
///
/// There are no weights; being frozen changes nothing. Keras: <https://keras.io/api/ops/>.
#[derive(Clone)]
pub struct Operation {
    class_name: String,
    kind: Result<Kind, Detail>,
    /// Arguments and settings, by Keras' names.
    arguments: BTreeMap<String, Argument>,
    /// A constant at a position that there is not.
    misplaced: Option<usize>,
}

#[derive(Clone)]
enum Kind {
    Declared(&'static Declared),
    Activation(Activation),
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operation")
            .field("class_name", &self.class_name)
            .field("arguments", &self.arguments)
            .finish_non_exhaustive()
    }
}

/// The operation of this class that is no activation.
pub(crate) fn find(class_name: &str) -> Option<&'static Declared> {
    let mut all = TABLES.into_iter().flatten();
    all.find(|declared| declared.name == class_name)
}

/// The class that is the same as a function of TensorFlow, or as an op of its graphs.
pub(crate) fn find_function(name: &str) -> Option<(&'static str, &'static Function)> {
    let name = name.strip_prefix("compat.v1.").unwrap_or(name);
    let short = name.strip_prefix("math.").unwrap_or(name);
    functions().find(|(_, function)| {
        let mut names = function.names.split(' ');
        names.any(|known| known == short || known == name)
    })
}

/// Every function of TensorFlow with the class that is the same.
pub(crate) fn functions() -> impl Iterator<Item = (&'static str, &'static Function)> {
    let declared = TABLES.into_iter().flatten();
    let of_declared = |it: &'static Declared| it.functions.iter().map(|one| (it.name, one));
    let of_activation =
        |it: &'static (&'static str, &'static [Function])| it.1.iter().map(|one| (it.0, one));
    declared
        .flat_map(of_declared)
        .chain(ACTIVATIONS.iter().flat_map(of_activation))
}

impl Operation {
    /// Every class that is known.
    pub fn known() -> Vec<&'static str> {
        let declared = TABLES.into_iter().flatten().map(|declared| declared.name);
        let activations = ACTIVATIONS.iter().map(|(name, _)| *name);
        let mut names: Vec<&str> = declared.chain(activations).collect();
        names.sort_unstable();
        names
    }

    /// Whether there is an operation of this name that is no activation.
    pub(crate) fn is_known(class_name: &str) -> bool {
        find(class_name).is_some()
    }

    /// The operation that Keras' class of this name is, with the settings that it has without being
    /// told otherwise; an unknown name is reported when the model is built.
    pub fn new(class_name: &str) -> Self {
        Self::with_settings(class_name, &Map::new())
    }

    /// The operation with settings of Keras' names: `{"axis": 1}`. What has no meaning is reported
    /// when the model is built.
    pub fn with_settings(class_name: &str, config: &Map<String, Value>) -> Self {
        let mut config = config.clone();
        config.remove("name");
        let kind = match find(class_name) {
            Some(declared) => Ok(Kind::Declared(declared)),
            None => activation(class_name, &config).map(Kind::Activation),
        };
        let arguments = config.into_iter();
        Operation {
            class_name: class_name.to_string(),
            kind,
            arguments: arguments
                .map(|(name, value)| (name, Argument::Value(value)))
                .collect(),
            misplaced: None,
        }
    }

    /// Makes the argument at `position` (from 0) a number; the inputs are the other arguments, in
    /// order.
    #[must_use]
    pub fn constant(self, position: usize, value: f32) -> Self {
        self.argument_at(position, Argument::Value(number(value)))
    }

    /// As [`constant`](Self::constant), with an array, which broadcasts.
    #[must_use]
    pub fn constant_values(self, position: usize, values: Tensor) -> Self {
        self.argument_at(position, Argument::array(&values))
    }

    fn argument_at(mut self, position: usize, argument: Argument) -> Self {
        match self.argument_name(position) {
            Some(name) => {
                self.arguments.insert(name.to_string(), argument);
            }
            None => self.misplaced = self.misplaced.or(Some(position)),
        }
        self
    }

    /// What Keras' `call` takes.
    pub(crate) fn takes(&self) -> Takes {
        match &self.kind {
            Ok(Kind::Declared(declared)) => declared.takes,
            _ => X,
        }
    }

    /// The name of the argument at a position, if there is one.
    pub(crate) fn argument_name(&self, position: usize) -> Option<&'static str> {
        match &self.kind {
            Ok(Kind::Declared(declared)) => declared.argument(position),
            _ => (position == 0).then_some("x"),
        }
    }

    /// Gives the argument `name` a value.
    pub(crate) fn set(&mut self, name: impl Into<String>, argument: Argument) {
        self.arguments.insert(name.into(), argument);
    }

    /// The formula, or what was wrong with its name or settings.
    pub(crate) fn check(&self) -> Result<(), Detail> {
        self.kind.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    fn is_argument(&self, name: &str) -> bool {
        match &self.kind {
            Ok(Kind::Declared(declared)) => declared.has_argument(name),
            _ => name == "x",
        }
    }

    /// The arguments by name, with as many inputs as there are: where none was placed, they are those
    /// that have no value, in order.
    fn placed(&self, inputs: usize) -> BTreeMap<String, Argument> {
        let mut arguments = self.arguments.clone();
        let placed: usize = arguments.values().map(Argument::inputs).sum();
        if placed > 0 {
            return arguments;
        }
        match self.takes() {
            Takes::Values(names) => {
                let free = names
                    .iter()
                    .filter(|name| !self.arguments.contains_key(**name));
                for (index, name) in free.take(inputs).enumerate() {
                    arguments.insert((*name).to_string(), Argument::Input(index));
                }
            }
            Takes::List(name) | Takes::Many(name) => {
                let all = (0..inputs).map(Argument::Input).collect();
                arguments.insert(name.to_string(), Argument::List(all));
            }
        }
        arguments
    }

    /// Keras' arguments of a call: the inputs as they are serialized, with the constants in their
    /// places.
    pub(crate) fn serialize_arguments(&self, inputs: &[Value]) -> Value {
        let arguments = self.placed(inputs.len());
        let argument = |name: &str| arguments.get(name).map(|it| it.serialize(inputs));
        match self.takes() {
            Takes::Values(names) => {
                let last = names.iter().rposition(|name| arguments.contains_key(*name));
                let names = &names[..last.map_or(0, |last| last + 1)];
                names
                    .iter()
                    .map(|name| argument(name).unwrap_or_default())
                    .collect()
            }
            Takes::List(name) => json!([argument(name)]),
            Takes::Many(name) => argument(name).unwrap_or_default(),
        }
    }

    /// The results for inputs of these types.
    fn results<'g>(
        &self,
        graph: &'g Graph,
        inputs: &[Var<'g>],
        types: &[ElementType],
    ) -> Result<Vec<Typed<'g>>, Detail> {
        let inputs: Vec<Typed<'g>> = inputs
            .iter()
            .zip(types)
            .map(|(&var, &of)| Typed::new(var, of))
            .collect();
        if let Some(position) = self.misplaced {
            return Err(Detail::new(
                "constant",
                "a position of an argument",
                position,
            ));
        }
        let declared = match self.kind.as_ref().map_err(Clone::clone)? {
            Kind::Declared(declared) => declared,
            Kind::Activation(activation) => {
                activation.get()?;
                let [x] = inputs.as_slice() else {
                    let received = format!("{} of them", inputs.len());
                    return Err(Detail::new("", "1 argument", received));
                };
                let x = x.to_float();
                return Ok(vec![x.with(activation.apply(x.var))]);
            }
        };
        let values = self.placed(inputs.len());
        let placed: usize = values.values().map(Argument::inputs).sum();
        if placed != inputs.len() {
            let expected = format!("inputs for the arguments of {}", self.class_name);
            let received = format!("{} inputs for {placed} of them", inputs.len());
            return Err(Detail::new("", expected, received));
        }
        let settings = constants(&values);
        let settings = Settings::new(&self.class_name, &settings);
        settings.ignore(&["name"]);
        let arguments = Arguments::new(graph, &values, &inputs, settings);
        let results = (declared.formula)(&arguments)?;
        arguments.settings.finish()?;
        match results
            .iter()
            .find(|result| !result.shape().is_batch_first())
        {
            None => Ok(results),
            Some(result) => {
                let expected = "a result with the batch in front";
                let detail = Detail::new("", expected, result.shape());
                Err(detail.help("samples are computed apart from each other"))
            }
        }
    }
}

/// The activation of this name, or an error with all operations that are near.
fn activation(class_name: &str, config: &Map<String, Value>) -> Result<Activation, Detail> {
    let is_known = ACTIVATIONS.iter().any(|(name, _)| *name == class_name);
    let mut config = config.clone();
    if class_name == "Gelu" {
        // The operation approximates unless told otherwise, the activation does not.
        config.entry("approximate").or_insert(true.into());
    }
    if !is_known {
        let near = crate::near(class_name, Operation::known());
        let help = format!("{near}; give the model a layer of your own in its place");
        let received = format!("{class_name:?}");
        return Err(Detail::new("", "an operation that is known", received).help(help));
    }
    activations::from_config(class_name, &config)
}

impl Configured for Operation {
    fn class(&self) -> Class<'_> {
        let module = match &self.kind {
            Ok(Kind::Declared(declared)) => declared.module,
            _ => NN,
        };
        let mut class = Class::new(&self.class_name).without("trainable");
        class.module = module;
        class
    }

    fn config(&self) -> Map<String, Value> {
        let settings = constants(&self.arguments).into_iter();
        let mut settings: Map<String, Value> = settings
            .filter(|(name, _)| !self.is_argument(name))
            .collect();
        if self.class_name == "Gelu" {
            settings.entry("approximate").or_insert(true.into());
        }
        settings
    }
}

impl Layer for Operation {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        self.check()?;
        match inputs.is_empty() {
            false => Ok(()),
            true => Err(Detail::new("", "at least 1 input", 0)),
        }
    }

    fn flow(&self) -> Flow {
        let setting = |name: &str| match self.arguments.get(name) {
            Some(Argument::Value(value)) => value.clone(),
            _ => Value::Null,
        };
        let axes = |name: &str| -> Option<Vec<isize>> {
            let one = |value: &Value| isize::try_from(value.as_i64()?).ok();
            match setting(name) {
                Value::Array(axes) => axes.iter().map(one).collect(),
                axis => one(&axis).map(|axis| vec![axis]),
            }
        };
        let name = self.class_name.as_str();
        let is_in = |table: &[Declared]| table.iter().any(|declared| declared.name == name);
        match (name, axes("axis")) {
            ("Reshape" | "ExpandDims" | "Squeeze", _) => Flow::Reshapes,
            ("Concatenate", axis) => Flow::Joins {
                axis: axis.and_then(|axis| axis.first().copied()).unwrap_or(0),
            },
            ("Transpose", _) => {
                let axes = axes("axes").unwrap_or_default();
                let axes = axes.iter().skip(1);
                let axes = axes.map(|&axis| usize::try_from(axis - 1).ok());
                axes.collect::<Option<_>>()
                    .map_or(Flow::Unknown, Flow::Permutes)
            }
            ("Mean" | "Sum" | "Max" | "Min" | "Amax" | "Amin", Some(axes)) => {
                if setting("keepdims") == true {
                    return Flow::Keeps;
                }
                // Over all cells of an image.
                match axes.iter().copied().eq(1..=axes.len() as isize) {
                    true => Flow::Image {
                        channels_first: false,
                    },
                    false => Flow::Unknown,
                }
            }
            _ if matches!(self.kind, Ok(Kind::Activation(_)))
                || is_in(elementwise::TABLE)
                || is_in(comparison::TABLE)
                || is_in(creation::TABLE) =>
            {
                Flow::Keeps
            }
            _ => Flow::Unknown,
        }
    }

    fn takes_any_type(&self) -> bool {
        true
    }

    fn output_types(&self, shapes: &[Shape], types: &[ElementType]) -> Option<Vec<ElementType>> {
        let graph = Graph::new();
        let inputs = shapes.iter().zip(types);
        let inputs: Vec<Var<'_>> = inputs
            .map(|(shape, of)| graph.input("", shape, of.data_type()))
            .collect();
        let results = self.results(&graph, &inputs, types).ok()?;
        Some(results.iter().map(|result| result.of).collect())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.call_all(call, inputs)[0]
    }

    fn call_all<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Var<'g>> {
        let results = self.results(call.graph(), inputs, call.input_types());
        match results {
            Ok(results) => results.into_iter().map(|result| result.var).collect(),
            Err(detail) => {
                call.graph().fail(Error::Shape(detail));
                vec![inputs[0]]
            }
        }
    }
}

/// Indices shared by every op that picks positions.
fn indices(positions: impl IntoIterator<Item = usize>) -> Arc<[usize]> {
    positions.into_iter().collect()
}

//! Operations of `keras.ops` as layers: what `x + 3.0` in a functional model is in Keras' files.

use std::collections::BTreeMap;

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value, json};

use super::support::object;
use crate::settings::{Maker, Settings, make, number, require, resolve};
use crate::{Activation, Call, ElementType, Flow, Layer, Weights, activations};

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
/// | operation | arguments | settings |
/// |---|---|---|
/// | `Add`, `Subtract`, `Multiply`, `TrueDivide`, `Divide`, `Maximum`, `Minimum`, `Power` | two, which go together as NumPy's broadcasting has it | |
/// | `Equal`, `NotEqual`, `Greater`, `GreaterEqual`, `Less`, `LessEqual`, `LogicalAnd`, `LogicalOr` | two; the result is 1 where it holds, else 0 | |
/// | `LogicalNot` | one | |
/// | `Any`, `All` | one | `axis` (not the batch), `keepdims` |
/// | `Negative`, `Absolute`, `Square`, `Sqrt`, `Rsqrt`, `Reciprocal`, `Exp`, `Log` | one | |
/// | activations (`Relu`, `Relu6`, `Silu`, `HardSigmoid`, `Softmax` …) | one | those of the [activation](crate::activations) |
/// | `Mean`, `Sum`, `Max`, `Min` | one | `axis` (not the batch), `keepdims` |
/// | `Clip` | one | `x_min`, `x_max` |
/// | `Reshape` | one | `newshape`, the batch first |
/// | `Transpose` | one | `axes`, the batch first |
/// | `ExpandDims`, `Squeeze` | one | `axis` |
/// | `Concatenate` | several | `axis` |
///
/// There are no weights; being frozen changes nothing. Keras: <https://keras.io/api/ops/>.
#[derive(Clone, Debug)]
pub struct Operation {
    class_name: String,
    formula: Result<Formula, Detail>,
    /// The arguments that are not inputs, by their position.
    constants: BTreeMap<usize, Constant>,
}

/// An argument that is the same for all samples.
#[derive(Clone, Debug, PartialEq)]
enum Constant {
    Number(f32),
    Values(Tensor),
}

/// A function of one value.
type Unary = for<'g> fn(Var<'g>) -> Var<'g>;
/// A function of two values.
type Binary = for<'g> fn(Var<'g>, Var<'g>) -> Var<'g>;
/// A function of a value and axes, which disappear or stay with size 1.
type Reduction = for<'g> fn(Var<'g>, &[usize], bool) -> Var<'g>;

#[derive(Clone, Debug)]
enum Formula {
    Unary(Unary),
    Binary(Binary),
    Activation(Activation, Map<String, Value>),
    Reduction {
        reduce: Reduction,
        axes: Vec<isize>,
        keep: bool,
    },
    Clip {
        min: f32,
        max: f32,
    },
    Reshape(Vec<isize>),
    Transpose(Vec<isize>),
    ExpandDims(isize),
    Squeeze(isize),
    Concatenate(isize),
}

/// Keras' modules of operations.
const NUMPY: &str = "keras.src.ops.numpy";
const NN: &str = "keras.src.ops.nn";
const MATH: &str = "keras.src.ops.math";

fn binary(settings: &Settings<'_>, function: Binary) -> Result<Formula, Detail> {
    settings.ignore(&["name"]);
    Ok(Formula::Binary(function))
}

fn unary(settings: &Settings<'_>, function: Unary) -> Result<Formula, Detail> {
    settings.ignore(&["name"]);
    Ok(Formula::Unary(function))
}

fn reduction(settings: &Settings<'_>, reduce: Reduction) -> Result<Formula, Detail> {
    settings.ignore(&["name", "initial"]);
    let Some(axes) = settings.axes("axis")? else {
        let expected = "axes other than the batch";
        return Err(settings.wrong("axis", expected, &"all".into()));
    };
    Ok(Formula::Reduction {
        reduce,
        axes,
        keep: settings.flag("keepdims", false)?,
    })
}

/// Axes or sizes, which must be there.
fn required(settings: &Settings<'_>, key: &'static str) -> Result<Vec<isize>, Detail> {
    settings.ignore(&["name"]);
    let axes = settings.axes(key)?;
    axes.ok_or_else(|| settings.wrong(key, "an axis or several", &Value::Null))
}

/// One axis.
fn one_axis(settings: &Settings<'_>, default: isize) -> Result<isize, Detail> {
    settings.ignore(&["name"]);
    match settings.axes("axis")?.as_deref() {
        None => Ok(default),
        Some([axis]) => Ok(*axis),
        Some(axes) => Err(settings.wrong("axis", "one axis", &json!(axes))),
    }
}

/// The operations that are no activations.
const TABLE: &[Maker<Formula>] = &[
    (&["Add"], |settings| binary(settings, |a, b| a + b)),
    (&["Subtract"], |settings| binary(settings, |a, b| a - b)),
    (&["Multiply"], |settings| binary(settings, |a, b| a * b)),
    (&["TrueDivide", "Divide"], |settings| {
        binary(settings, |a, b| a / b)
    }),
    (&["Maximum"], |settings| {
        binary(settings, |a, b| a.maximum(b))
    }),
    (&["Minimum"], |settings| {
        binary(settings, |a, b| a.minimum(b))
    }),
    (&["Power"], |settings| binary(settings, |a, b| a.power(b))),
    (&["Equal"], |settings| binary(settings, |a, b| a.equal(b))),
    (&["NotEqual"], |settings| {
        binary(settings, |a, b| a.not_equal(b))
    }),
    (&["Greater"], |settings| {
        binary(settings, |a, b| a.greater(b))
    }),
    (&["GreaterEqual"], |settings| {
        binary(settings, |a, b| a.greater_equal(b))
    }),
    (&["Less"], |settings| binary(settings, |a, b| a.less(b))),
    (&["LessEqual"], |settings| {
        binary(settings, |a, b| a.less_equal(b))
    }),
    (&["LogicalAnd"], |settings| {
        binary(settings, |a, b| a.not_equal(0.0).minimum(b.not_equal(0.0)))
    }),
    (&["LogicalOr"], |settings| {
        binary(settings, |a, b| a.not_equal(0.0).maximum(b.not_equal(0.0)))
    }),
    (&["LogicalNot"], |settings| {
        unary(settings, |x| x.equal(0.0))
    }),
    (&["Any"], |settings| {
        reduction(settings, |x, axes, keep| match keep {
            true => x.not_equal(0.0).max_keeping(axes),
            false => x.not_equal(0.0).max(axes),
        })
    }),
    (&["All"], |settings| {
        reduction(settings, |x, axes, keep| match keep {
            true => x.not_equal(0.0).min_keeping(axes),
            false => x.not_equal(0.0).min(axes),
        })
    }),
    (&["Negative"], |settings| unary(settings, |x| -x)),
    (&["Absolute"], |settings| unary(settings, |x| x.abs())),
    (&["Square"], |settings| unary(settings, |x| x.square())),
    (&["Sqrt"], |settings| unary(settings, |x| x.sqrt())),
    (&["Rsqrt"], |settings| unary(settings, |x| x.rsqrt())),
    (&["Reciprocal"], |settings| {
        unary(settings, |x| x.reciprocal())
    }),
    (&["Exp"], |settings| unary(settings, |x| x.exp())),
    (&["Log"], |settings| unary(settings, |x| x.log())),
    (&["Mean"], |settings| {
        reduction(settings, |x, axes, keep| match keep {
            true => x.mean_keeping(axes),
            false => x.mean(axes),
        })
    }),
    (&["Sum"], |settings| {
        reduction(settings, |x, axes, keep| match keep {
            true => x.sum_keeping(axes),
            false => x.sum(axes),
        })
    }),
    (&["Max"], |settings| {
        reduction(settings, |x, axes, keep| match keep {
            true => x.max_keeping(axes),
            false => x.max(axes),
        })
    }),
    (&["Min"], |settings| {
        reduction(settings, |x, axes, keep| match keep {
            true => x.min_keeping(axes),
            false => x.min(axes),
        })
    }),
    (&["Clip"], |settings| {
        settings.ignore(&["name"]);
        Ok(Formula::Clip {
            min: settings.required_number("x_min")?,
            max: settings.required_number("x_max")?,
        })
    }),
    (&["Reshape"], |settings| {
        required(settings, "newshape").map(Formula::Reshape)
    }),
    (&["Transpose"], |settings| {
        required(settings, "axes").map(Formula::Transpose)
    }),
    (&["ExpandDims"], |settings| {
        one_axis(settings, -1).map(Formula::ExpandDims)
    }),
    (&["Squeeze"], |settings| {
        one_axis(settings, -1).map(Formula::Squeeze)
    }),
    (&["Concatenate"], |settings| {
        one_axis(settings, -1).map(Formula::Concatenate)
    }),
];

impl Operation {
    /// Whether there is an operation of this name that is no activation.
    pub(crate) fn is_known(class_name: &str) -> bool {
        TABLE.iter().any(|(names, _)| names.contains(&class_name))
    }

    /// The operation that Keras' class of this name is, with the settings that it has without being
    /// told otherwise; an unknown name is reported when the model is built.
    pub fn new(class_name: &str) -> Self {
        Self::with_settings(class_name, &Map::new())
    }

    /// The operation with settings of Keras' names, as in the table above; what has no meaning is
    /// reported when the model is built.
    pub fn with_settings(class_name: &str, config: &Map<String, Value>) -> Self {
        let formula = match Self::is_known(class_name) {
            true => make("operation", TABLE, class_name, config),
            false => {
                let mut config = config.clone();
                config.remove("name");
                let activation = activations::from_config(class_name, &config);
                let unknown = |_| {
                    let names = TABLE.iter().flat_map(|(names, _)| names.iter().copied());
                    let near = crate::near(class_name, names);
                    let help = format!(
                        "{near}, and activations; give the model a layer of your own in its place"
                    );
                    let received = format!("{class_name:?}");
                    Detail::new("", "an operation that is known", received).help(help)
                };
                let activation = activation.map_err(unknown);
                activation.map(|activation| Formula::Activation(activation, config))
            }
        };
        Operation {
            class_name: class_name.to_string(),
            formula,
            constants: BTreeMap::new(),
        }
    }

    /// Makes the argument at `position` (from 0) a number; the inputs are the other arguments, in
    /// order.
    #[must_use]
    pub fn constant(mut self, position: usize, value: f32) -> Self {
        self.constants.insert(position, Constant::Number(value));
        self
    }

    /// As [`constant`](Self::constant), with an array, which broadcasts.
    #[must_use]
    pub fn constant_values(mut self, position: usize, values: Tensor) -> Self {
        self.constants.insert(position, Constant::Values(values));
        self
    }

    /// The formula, or what was wrong with its name or settings.
    pub(crate) fn check(&self) -> Result<(), Detail> {
        self.formula.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// Keras' arguments of a call: the inputs as they are serialized, with the constants in their
    /// places.
    pub(crate) fn arguments(&self, inputs: Vec<Value>) -> Value {
        if let Ok(Formula::Concatenate(_)) = self.formula {
            return json!([inputs]);
        }
        let values = |values: &Tensor| {
            let numbers = values.as_slice().iter().map(|&value| number(value));
            nested(values.shape(), &numbers.collect::<Vec<_>>())
        };
        let mut inputs = inputs.into_iter();
        let count = inputs.len() + self.constants.len();
        let argument = |position| match self.constants.get(&position) {
            Some(Constant::Number(value)) => Some(number(*value)),
            Some(Constant::Values(tensor)) => Some(json!({
                "class_name": "__tensor__",
                "config": { "value": values(tensor), "dtype": "float32" },
            })),
            None => inputs.next(),
        };
        (0..count).filter_map(argument).collect()
    }
}

/// Numbers as lists in lists.
fn nested(shape: &[usize], values: &[Value]) -> Value {
    let mut level: Vec<Value> = values.to_vec();
    for &size in shape.iter().rev() {
        level = level.chunks(size.max(1)).map(Value::from).collect();
    }
    level.pop().unwrap_or(Value::Null)
}

impl Formula {
    /// How many arguments it takes, if not any number.
    fn count(&self) -> Option<usize> {
        match self {
            Formula::Binary(_) => Some(2),
            Formula::Concatenate(_) => None,
            _ => Some(1),
        }
    }

    /// Checks what the ops of the graph do not: that the batch stays where it is.
    fn check(&self, shape: &Shape) -> Result<(), Detail> {
        let rank = shape.rank();
        match self {
            Formula::Activation(activation, _) => activation.get().map(|_| ()),
            Formula::Reduction { axes, .. } => {
                let axes = resolve(axes, rank)?;
                let batch = axes.iter().any(|&axis| shape.dims()[axis] == Dim::Batch);
                require(!batch, "axis", "axes other than the batch", axes)
            }
            Formula::Transpose(axes) => {
                let mut sorted = axes.clone();
                sorted.sort_unstable();
                let all = sorted.iter().copied().eq(0..rank as isize);
                let fits = all && axes.first() == Some(&0);
                let expected = format!("the axes of {shape} in some order, the batch first");
                require(fits, "axes", &expected, axes)
            }
            Formula::Reshape(sizes) => reshaped(shape, sizes).map(|_| ()),
            Formula::ExpandDims(axis) => position(*axis, rank + 1).map(|_| ()),
            Formula::Squeeze(axis) => {
                let axis = position(*axis, rank)?;
                let fits = shape.dims()[axis] == Dim::Fixed(1);
                require(fits, "axis", &format!("an axis of size 1 of {shape}"), axis)
            }
            Formula::Concatenate(axis) => position(*axis, rank).map(|_| ()),
            Formula::Clip { min, max } => require(min <= max, "x_min", "at most x_max", (min, max)),
            Formula::Unary(_) | Formula::Binary(_) => Ok(()),
        }
    }
}

/// The axis that a number means, which is not the batch.
fn position(axis: isize, rank: usize) -> Result<usize, Detail> {
    let axis = resolve(&[axis], rank)?[0];
    require(axis > 0, "axis", "an axis other than the batch", axis)?;
    Ok(axis)
}

/// The shape that `sizes`, the batch first and one of the others at most −1, gives to `shape`.
fn reshaped(shape: &Shape, sizes: &[isize]) -> Result<Shape, Detail> {
    let sample = match sizes {
        [-1, sample @ ..] => sample,
        _ => {
            let expected = "−1 for the batch, then the sizes of a sample";
            return Err(Detail::new("newshape", expected, format!("{sizes:?}")));
        }
    };
    super::Reshape::new(sample).output(shape)
}

impl Layer for Operation {
    fn class_name(&self) -> &str {
        &self.class_name
    }

    fn flow(&self) -> Flow {
        match &self.formula {
            Ok(
                Formula::Unary(_)
                | Formula::Binary(_)
                | Formula::Activation(..)
                | Formula::Clip { .. }
                | Formula::Reduction { keep: true, .. },
            ) => Flow::Keeps,
            Ok(Formula::Reshape(_) | Formula::ExpandDims(_) | Formula::Squeeze(_)) => {
                Flow::Reshapes
            }
            Ok(Formula::Concatenate(axis)) => Flow::Joins { axis: *axis },
            // Over all cells of an image.
            Ok(Formula::Reduction { axes, .. })
                if axes.iter().copied().eq(1..=axes.len() as isize) =>
            {
                Flow::Image {
                    channels_first: false,
                }
            }
            Ok(Formula::Transpose(axes)) => {
                let axes = axes.iter().skip(1);
                let axes = axes.map(|&axis| usize::try_from(axis - 1).ok());
                axes.collect::<Option<_>>()
                    .map_or(Flow::Unknown, Flow::Permutes)
            }
            _ => Flow::Unknown,
        }
    }

    fn module(&self) -> &str {
        match &self.formula {
            Ok(Formula::Activation(..)) => NN,
            _ if self.class_name == "Rsqrt" => MATH,
            _ => NUMPY,
        }
    }

    fn output_types(&self, _shapes: &[Shape], _types: &[ElementType]) -> Option<Vec<ElementType>> {
        let truths = [
            "Equal",
            "NotEqual",
            "Greater",
            "GreaterEqual",
            "Less",
            "LessEqual",
            "LogicalAnd",
            "LogicalOr",
            "LogicalNot",
            "Any",
            "All",
        ];
        let of_truths = truths.contains(&self.class_name.as_str());
        of_truths.then(|| vec![ElementType::Bool])
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let formula = self.formula.as_ref().map_err(Clone::clone)?;
        let count = inputs.len() + self.constants.len();
        let Some(first) = inputs.first() else {
            return Err(Detail::new("", "at least 1 input", 0));
        };
        let expected = formula.count();
        if expected.is_some_and(|expected| expected != count) {
            let expected = format!("{} arguments", expected.unwrap_or(0));
            return Err(Detail::new("", expected, format!("{count} of them")));
        }
        let last = self.constants.keys().next_back();
        let fits = last.is_none_or(|&last| last < count);
        require(fits, "constant", "a position of an argument", last)?;
        formula.check(first)
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let mut rest = inputs.iter().copied();
        let count = inputs.len() + self.constants.len();
        let argument = |position| match self.constants.get(&position) {
            Some(Constant::Number(value)) => Some(call.graph().number(*value)),
            Some(Constant::Values(values)) => Some(call.graph().constant(values.clone())),
            None => rest.next(),
        };
        let arguments: Vec<Var<'g>> = (0..count).filter_map(argument).collect();
        let x = arguments[0];
        let rank = x.shape().rank();
        // What does not fit was found when the layer was built.
        let Ok(formula) = &self.formula else { return x };
        match formula {
            Formula::Unary(function) => function(x),
            Formula::Binary(function) => function(x, arguments[1]),
            Formula::Activation(activation, _) => activation.apply(x),
            Formula::Reduction { reduce, axes, keep } => {
                reduce(x, &resolve(axes, rank).unwrap_or_default(), *keep)
            }
            Formula::Clip { min, max } => x.clip(*min, *max),
            Formula::Reshape(sizes) => match reshaped(&x.shape(), sizes) {
                Ok(shape) => x.reshape(shape),
                Err(_) => x,
            },
            Formula::Transpose(axes) => {
                let axes = axes.iter().map(|&axis| axis.unsigned_abs());
                x.permute(&axes.collect::<Vec<_>>())
            }
            Formula::ExpandDims(axis) => match position(*axis, rank + 1) {
                Ok(axis) => x.expand_dims(axis),
                Err(_) => x,
            },
            Formula::Squeeze(axis) => match position(*axis, rank) {
                Ok(axis) => x.squeeze(axis),
                Err(_) => x,
            },
            Formula::Concatenate(axis) => match position(*axis, rank) {
                Ok(axis) => call.graph().concatenate(&arguments, axis),
                Err(_) => x,
            },
        }
    }

    fn config(&self) -> Map<String, Value> {
        let Ok(formula) = &self.formula else {
            return Map::new();
        };
        match formula {
            Formula::Unary(_) | Formula::Binary(_) => Map::new(),
            Formula::Activation(_, config) => config.clone(),
            Formula::Reduction { axes, keep, .. } => {
                object(json!({ "axis": crate::settings::axes(axes), "keepdims": keep }))
            }
            Formula::Clip { min, max } => {
                object(json!({ "x_min": number(*min), "x_max": number(*max) }))
            }
            Formula::Reshape(sizes) => object(json!({ "newshape": sizes })),
            Formula::Transpose(axes) => object(json!({ "axes": axes })),
            Formula::ExpandDims(axis) | Formula::Squeeze(axis) | Formula::Concatenate(axis) => {
                object(json!({ "axis": axis }))
            }
        }
    }

    fn has_trainable_setting(&self) -> bool {
        false
    }
}

//! How an operation is declared: once, with everything that reading, computing and writing need.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::arguments::Arguments;
use super::typed::Typed;

/// An operation of `keras.ops`: an entry of one of the tables of this module.
pub(crate) struct Declared {
    /// Keras' class.
    pub name: &'static str,
    /// The Python module in which Keras 3 looks for it.
    pub module: &'static str,
    /// What Keras' `call` takes; all other arguments are settings.
    pub takes: Takes,
    /// From the arguments to the results.
    pub(super) formula: Formula,
    /// Functions of TensorFlow that are the same.
    pub functions: &'static [Function],
}

/// From the arguments to the results.
pub(super) type Formula = for<'g> fn(&Arguments<'g, '_>) -> Result<Vec<Typed<'g>>, Detail>;

/// What Keras' `call` takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Takes {
    /// Values of these names, in this order.
    Values(&'static [&'static str]),
    /// One list of values.
    List(&'static str),
    /// Any number of values, which the formula finds as a list.
    Many(&'static str),
}

/// A function of TensorFlow, as Keras 2 names it in a `TFOpLambda`, or an op of TensorFlow's graphs.
pub(crate) struct Function {
    /// Its names, `math.` and `compat.v1.` in front left out, divided by blanks.
    pub names: &'static str,
    /// The names of its arguments, each `theirs=ours` if they differ; the first one is given without
    /// its name in files. Others keep their names.
    pub arguments: &'static str,
    /// Settings that it has without saying so and Keras' operation has not, as JSON.
    settings: &'static str,
}

/// A function of TensorFlow with these arguments.
pub(super) const fn function(names: &'static str, arguments: &'static str) -> Function {
    Function {
        names,
        arguments,
        settings: "{}",
    }
}

impl Function {
    /// The settings that it has without saying so.
    pub fn own_settings(&self) -> Map<String, Value> {
        serde_json::from_str(self.settings).expect("the table has them as JSON")
    }

    /// With settings that Keras' operation has not unless told so.
    pub(super) const fn with(self, settings: &'static str) -> Self {
        Function { settings, ..self }
    }
}

/// Keras' modules of operations.
pub(super) const NUMPY: &str = "keras.src.ops.numpy";
pub(super) const NN: &str = "keras.src.ops.nn";
pub(super) const MATH: &str = "keras.src.ops.math";
pub(super) const CORE: &str = "keras.src.ops.core";
pub(super) const LINALG: &str = "keras.src.ops.linalg";
pub(super) const IMAGE: &str = "keras.src.ops.image";

/// The one value of most operations.
pub(super) const X: Takes = Takes::Values(&["x"]);
/// The two values of most others.
pub(super) const X1_X2: Takes = Takes::Values(&["x1", "x2"]);

impl Declared {
    /// An operation of `keras.ops.numpy` on values of these names.
    pub(super) const fn new(name: &'static str, takes: Takes, formula: Formula) -> Self {
        Declared {
            name,
            module: NUMPY,
            takes,
            formula,
            functions: &[],
        }
    }

    /// In another module.
    pub(super) const fn within(self, module: &'static str) -> Self {
        Declared { module, ..self }
    }

    /// Functions of TensorFlow that are the same.
    pub(super) const fn like(self, functions: &'static [Function]) -> Self {
        Declared { functions, ..self }
    }

    /// The name of the argument at a position.
    pub fn argument(&self, position: usize) -> Option<&'static str> {
        match self.takes {
            Takes::Values(names) => names.get(position).copied(),
            Takes::List(name) | Takes::Many(name) => (position == 0).then_some(name),
        }
    }

    /// Whether `name` is an argument of the call.
    pub fn has_argument(&self, name: &str) -> bool {
        match self.takes {
            Takes::Values(names) => names.contains(&name),
            Takes::List(known) | Takes::Many(known) => known == name,
        }
    }
}

/// One result.
pub(super) fn one<'g>(result: Typed<'g>) -> Result<Vec<Typed<'g>>, Detail> {
    Ok(vec![result])
}

/// A function of floats, on the value `x`.
pub(super) fn of_floats<'g>(
    arguments: &Arguments<'g, '_>,
    function: impl Fn(Var<'g>) -> Var<'g>,
) -> Result<Vec<Typed<'g>>, Detail> {
    let x = arguments.tensor("x")?.to_float();
    one(x.with(function(x.var)))
}

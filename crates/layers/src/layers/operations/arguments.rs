//! What an operation is called with: values, constants, lists of them, and settings, by the names that
//! Keras gives them.

use std::collections::BTreeMap;

use regraft_autograd::{Graph, Shape};
use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value, json};

use super::typed::{Typed, floats, integers};
use crate::ElementType;
use crate::settings::{Settings, number};

/// An argument of an operation.
#[derive(Clone, Debug)]
pub(crate) enum Argument {
    /// An input of the layer, by its number.
    Input(usize),
    /// Several of them.
    List(Vec<Argument>),
    /// What is the same for all samples, as Keras serializes it: a number, an array, a setting.
    Value(Value),
}

impl Argument {
    /// An array of floats as Keras serializes it.
    pub fn array(values: &Tensor) -> Self {
        let numbers = values.as_slice().iter().map(|&value| number(value));
        let nested = nested(values.shape(), &numbers.collect::<Vec<_>>());
        Argument::Value(json!({
            "class_name": "__numpy__",
            "config": { "value": nested, "dtype": "float32" },
        }))
    }

    /// As Keras serializes it, with the inputs as they are serialized.
    pub fn serialize(&self, inputs: &[Value]) -> Value {
        match self {
            Argument::Input(index) => inputs.get(*index).cloned().unwrap_or_default(),
            Argument::List(list) => list.iter().map(|one| one.serialize(inputs)).collect(),
            Argument::Value(value) => value.clone(),
        }
    }

    /// How many inputs it has.
    pub fn inputs(&self) -> usize {
        match self {
            Argument::Input(_) => 1,
            Argument::List(list) => list.iter().map(Argument::inputs).sum(),
            Argument::Value(_) => 0,
        }
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

/// Arguments while a formula is written: those that are values as values of the graph.
pub(super) struct Arguments<'g, 'a> {
    graph: &'g Graph,
    values: &'a BTreeMap<String, Argument>,
    inputs: &'a [Typed<'g>],
    /// Everything that is no input, under the name of the operation.
    pub settings: Settings<'a>,
}

impl<'g, 'a> Arguments<'g, 'a> {
    pub fn new(
        graph: &'g Graph,
        values: &'a BTreeMap<String, Argument>,
        inputs: &'a [Typed<'g>],
        settings: Settings<'a>,
    ) -> Self {
        Arguments {
            graph,
            values,
            inputs,
            settings,
        }
    }

    pub fn graph(&self) -> &'g Graph {
        self.graph
    }

    /// The value `name`, which must be there.
    pub fn tensor(&self, name: &'static str) -> Result<Typed<'g>, Detail> {
        let value = self.optional(name)?;
        value.ok_or_else(|| self.settings.wrong(name, "a value", &Value::Null))
    }

    /// The value `name`, or nothing if it is absent or null.
    pub fn optional(&self, name: &'static str) -> Result<Option<Typed<'g>>, Detail> {
        self.settings.ignore(&[name]);
        match self.values.get(name) {
            None | Some(Argument::Value(Value::Null)) => Ok(None),
            Some(argument) => self.typed(name, argument).map(Some),
        }
    }

    /// The values of the list `name`.
    pub fn list(&self, name: &'static str) -> Result<Vec<Typed<'g>>, Detail> {
        self.settings.ignore(&[name]);
        match self.values.get(name) {
            Some(Argument::List(list)) if !list.is_empty() => {
                list.iter().map(|one| self.typed(name, one)).collect()
            }
            Some(argument @ Argument::Input(_)) => Ok(vec![self.typed(name, argument)?]),
            _ => Err(self.settings.wrong(name, "a list of values", &Value::Null)),
        }
    }

    fn typed(&self, name: &str, argument: &Argument) -> Result<Typed<'g>, Detail> {
        match argument {
            Argument::Input(index) => self.inputs.get(*index).copied().ok_or_else(|| {
                let received = format!("{} of them", self.inputs.len());
                Detail::new(name, format!("at least {} inputs", index + 1), received)
            }),
            Argument::Value(value) => {
                constant(self.graph, value).map_err(|detail| detail.within(name))
            }
            Argument::List(_) => {
                let expected = "a value, not a list of values";
                Err(Detail::new(name, expected, "a list"))
            }
        }
    }

    /// A whole number that may be negative.
    pub fn integer(&self, name: &'static str, default: isize) -> Result<isize, Detail> {
        self.settings.or(name, default)
    }

    /// Sizes that must be there: one number or a list, of which `None` stays what it is.
    pub fn sizes(&self, name: &'static str) -> Result<Vec<Option<isize>>, Detail> {
        let wrong = |value: &Value| self.settings.wrong(name, "a list of sizes", value);
        let Some(value) = self.settings.value(name) else {
            return Err(wrong(&Value::Null));
        };
        let size = |one: &Value| match one {
            Value::Null => Ok(None),
            one => match one.as_i64().and_then(|size| size.try_into().ok()) {
                Some(size) => Ok(Some(size)),
                None => Err(wrong(value)),
            },
        };
        match value {
            Value::Array(sizes) => sizes.iter().map(size).collect(),
            one => Ok(vec![size(one)?]),
        }
    }

    /// Numbers that must be there: one, or a list.
    pub fn integers(&self, name: &'static str) -> Result<Vec<isize>, Detail> {
        let sizes = self.sizes(name)?;
        let all: Option<Vec<isize>> = sizes.into_iter().collect();
        all.ok_or_else(|| self.settings.wrong(name, "whole numbers", &Value::Null))
    }

    /// The element type `name`, or the default where there is none.
    pub fn element_type(
        &self,
        name: &'static str,
        default: ElementType,
    ) -> Result<ElementType, Detail> {
        let Some(value) = self.settings.value(name) else {
            return Ok(default);
        };
        let text = value.as_str().or_else(|| value["config"]["name"].as_str());
        text.and_then(ElementType::from_name)
            .ok_or_else(|| self.settings.wrong(name, "a type of elements", value))
    }

    /// Constant integers: a number or a list in lists, with the sizes of the lists.
    pub fn constant_integers(&self, name: &'static str) -> Result<Option<Nested<isize>>, Detail> {
        let Some(Argument::Value(value)) = self.values.get(name) else {
            return Ok(None);
        };
        self.settings.ignore(&[name]);
        let (shape, numbers, _) = array(value).map_err(|detail| detail.within(name))?;
        let whole = |number: &Value| {
            let number = number.as_f64().filter(|number| number.fract() == 0.0);
            number.map(|number| number as isize)
        };
        let numbers: Option<Vec<isize>> = numbers.iter().map(whole).collect();
        match numbers {
            Some(numbers) => Ok(Some((shape, numbers))),
            None => Err(self.settings.wrong(name, "whole numbers", value)),
        }
    }
}

/// A constant of the graph: a number, lists of numbers, or Keras' `__tensor__` and `__numpy__` of
/// them.
fn constant<'g>(graph: &'g Graph, value: &Value) -> Result<Typed<'g>, Detail> {
    match value {
        Value::Bool(truth) => {
            let var = graph.number(f32::from(*truth));
            return Ok(Typed::truths(var));
        }
        Value::Number(number) => {
            return Ok(match number.as_i64() {
                Some(integer) => Typed::integer(graph, integer),
                None => Typed::float(graph, number.as_f64().unwrap_or(f64::NAN)),
            });
        }
        _ => {}
    }
    let (shape, numbers, of) = array(value)?;
    let all_whole = numbers.iter().all(Value::is_i64);
    let of = of.unwrap_or(match all_whole {
        true => ElementType::Int32,
        false => ElementType::Float32,
    });
    let float = |number: &Value| match number {
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        number => number.as_f64().unwrap_or(f64::NAN),
    };
    let numbers = numbers.iter().map(float);
    let var = match of.is_integer() {
        true => integers(graph, shape, numbers.map(|number| number as i32).collect()),
        false => floats(graph, shape, numbers.map(|number| number as f32).collect()),
    };
    Ok(Typed::new(var, of))
}

/// The sizes of lists in lists, and what is in them.
pub(crate) type Nested<T> = (Vec<usize>, Vec<T>);

/// The sizes and the numbers of a constant array, and its type if it is said.
pub(crate) type ConstantArray = (Vec<usize>, Vec<Value>, Option<ElementType>);

/// Reads a constant array.
pub(crate) fn array(value: &Value) -> Result<ConstantArray, Detail> {
    let wrong = || {
        let expected = "a number or an array";
        Detail::new("", expected, crate::settings::brief(value))
    };
    let inner = &value["config"]["value"];
    let element_type = &value["config"]["dtype"];
    let mut level = vec![if inner.is_null() { value } else { inner }];
    let mut shape = Vec::new();
    while let Some(Value::Array(first)) = level.first() {
        shape.push(first.len());
        let mut below = Vec::with_capacity(level.len() * first.len());
        for list in &level {
            let list = list.as_array().filter(|list| list.len() == first.len());
            below.extend(list.ok_or_else(wrong)?);
        }
        level = below;
    }
    let fits = |value: &&Value| value.is_number() || value.is_boolean();
    match level.iter().all(fits) {
        true => {
            let of = element_type.as_str().and_then(ElementType::from_name);
            Ok((shape, level.into_iter().cloned().collect(), of))
        }
        false => Err(wrong()),
    }
}

/// Every argument that is no input and has no input in it, by name.
pub(super) fn constants(values: &BTreeMap<String, Argument>) -> Map<String, Value> {
    let constant = |(name, argument): (&String, &Argument)| match argument {
        Argument::Value(value) => Some((name.clone(), value.clone())),
        _ => None,
    };
    values.iter().filter_map(constant).collect()
}

/// Fits `sizes`, of which `None` is the batch and one more may be −1, to the elements of `shape`.
pub(super) fn reshaped(shape: &Shape, sizes: &[Option<isize>]) -> Result<Shape, Detail> {
    let wrong = || {
        let expected = "−1 or None for the batch, then the sizes of a sample";
        let sizes: Vec<String> = sizes
            .iter()
            .map(|size| size.map_or("None".to_string(), |size| size.to_string()))
            .collect();
        let received = format!("({}) for {shape}", sizes.join(", "));
        Detail::new("newshape", expected, received)
    };
    match sizes {
        [None | Some(-1), sample @ ..] if shape.is_batch_first() => {
            let sample: Option<Vec<isize>> = sample.iter().copied().collect();
            crate::layers::Reshape::new(sample.ok_or_else(wrong)?).output(shape)
        }
        _ => Err(wrong()),
    }
}

//! Operations among the layers of a functional model: those of `keras.ops`, which Keras 3 writes for
//! `x + 3.0`, and in files of Keras 2 `TFOpLambda` and `TensorFlowOpLayer`.

use std::collections::BTreeMap;

use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value, json};

use super::graph::{Reference, read_history};
use super::read::brief;
use crate::layers::Operation;

/// An argument of a call.
enum Argument<'v> {
    Input(Reference<'v>),
    Constant(&'v Value),
}

/// An operation and what it is called with, or nothing if `layer` is not an operation.
pub(super) fn read(layer: &Value) -> Result<Option<(Operation, Vec<Reference<'_>>)>, Detail> {
    let class_name = layer["class_name"].as_str().unwrap_or_default();
    let module = layer["module"].as_str().unwrap_or_default();
    let of_keras3 = module.starts_with("keras.src.ops.") || module.starts_with("keras.ops");
    let read_call = match class_name {
        "TFOpLambda" => read_tensorflow,
        "TensorFlowOpLayer" => read_node_definition,
        _ if of_keras3 || is_operation_of_legacy_file(layer, class_name) => read_keras,
        _ => return Ok(None),
    };
    let [node] = layer["inbound_nodes"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
    else {
        let expected = "an operation that is called once";
        return Err(Detail::new(
            "inbound_nodes",
            expected,
            brief(&layer["inbound_nodes"]),
        ));
    };
    let (class_name, config, arguments) = read_call(&layer["config"], class_name, node)?;
    let mut operation = Operation::with_settings(&class_name, &config);
    operation.check()?;
    let mut inputs = Vec::new();
    for (position, argument) in arguments {
        operation = match argument {
            Argument::Input(input) => {
                inputs.push(input);
                continue;
            }
            Argument::Constant(value) => match value.as_f64() {
                Some(number) => operation.constant(position, number as f32),
                None => operation.constant_values(position, array(value)?),
            },
        };
    }
    match inputs.is_empty() {
        false => Ok(Some((operation, inputs))),
        true => {
            let expected = "a call with the output of a layer";
            Err(Detail::new("inbound_nodes", expected, brief(node)))
        }
    }
}

/// Whether this is what Keras 3 writes of an operation into a legacy `.h5`: without its module, so that
/// `x + 3.0` is an `Add` as the layer is. Unlike a layer it has no setting `trainable`, and is called
/// with values, not with a list of them.
fn is_operation_of_legacy_file(layer: &Value, class_name: &str) -> bool {
    let settings = layer["config"].as_object();
    let is_bare = settings.is_some_and(|settings| !settings.contains_key("trainable"));
    let called_with = &layer["inbound_nodes"][0]["args"][0];
    is_bare
        && layer.get("module").is_none()
        && Operation::is_known(class_name)
        && !called_with.is_null()
        && !called_with.is_array()
}

/// The class of the operation, its settings, and the arguments by their position.
type Read<'v> = (String, Map<String, Value>, BTreeMap<usize, Argument<'v>>);

/// `{"args": […], "kwargs": {…}}`, with the settings in the configuration.
fn read_keras<'v>(
    config: &'v Value,
    class_name: &str,
    node: &'v Value,
) -> Result<Read<'v>, Detail> {
    let mut config = config.as_object().cloned().unwrap_or_default();
    config.retain(|key, _| !matches!(key.as_str(), "name" | "dtype" | "trainable"));
    let mut arguments = BTreeMap::new();
    let argument = |value: &'v Value| match value["class_name"] == "__keras_tensor__" {
        true => read_history(&value["config"]["keras_history"], false).map(Argument::Input),
        false => Ok(Argument::Constant(value)),
    };
    for value in node["args"].as_array().into_iter().flatten() {
        let several = value.as_array().filter(|values| {
            let is_tensor = |value: &Value| value["class_name"] == "__keras_tensor__";
            values.iter().any(is_tensor)
        });
        for value in several.map_or(std::slice::from_ref(value), Vec::as_slice) {
            arguments.insert(arguments.len(), argument(value)?);
        }
    }
    for (key, value) in node["kwargs"].as_object().into_iter().flatten() {
        let position = match key.as_str() {
            _ if value.is_null() => continue,
            "x" | "x1" => 0,
            "x2" => 1,
            _ => {
                let received = format!("{key}: {}", brief(value));
                let expected = "no arguments but values";
                return Err(Detail::new("inbound_nodes", expected, received));
            }
        };
        arguments.insert(position, argument(value)?);
    }
    Ok((class_name.to_string(), config, arguments))
}

/// A function of TensorFlow, the operation of Keras 3 that is the same, and which of its arguments
/// are settings there, under which names.
type Known = (
    &'static [&'static str],
    &'static str,
    &'static [(&'static str, &'static str)],
);

const REDUCTION: &[(&str, &str)] = &[("axis", "axis"), ("keepdims", "keepdims")];

/// The functions of TensorFlow that are plain arithmetic.
const FUNCTIONS: &[Known] = &[
    (&["__operators__.add", "math.add", "add"], "Add", &[]),
    (&["math.subtract", "subtract"], "Subtract", &[]),
    (&["math.multiply", "multiply"], "Multiply", &[]),
    (
        &["math.truediv", "math.divide", "divide", "truediv"],
        "TrueDivide",
        &[],
    ),
    (&["math.maximum", "maximum"], "Maximum", &[]),
    (&["math.minimum", "minimum"], "Minimum", &[]),
    (&["math.pow", "pow"], "Power", &[]),
    (&["math.negative", "negative"], "Negative", &[]),
    (&["math.abs", "abs"], "Absolute", &[]),
    (&["math.square", "square"], "Square", &[]),
    (&["math.sqrt", "sqrt"], "Sqrt", &[]),
    (&["math.rsqrt", "rsqrt"], "Rsqrt", &[]),
    (&["math.reciprocal", "reciprocal"], "Reciprocal", &[]),
    (&["math.exp", "exp"], "Exp", &[]),
    (&["math.log", "log"], "Log", &[]),
    (&["math.reduce_mean", "reduce_mean"], "Mean", REDUCTION),
    (&["math.reduce_sum", "reduce_sum"], "Sum", REDUCTION),
    (&["math.reduce_max", "reduce_max"], "Max", REDUCTION),
    (&["math.reduce_min", "reduce_min"], "Min", REDUCTION),
    (
        &["clip_by_value"],
        "Clip",
        &[("clip_value_min", "x_min"), ("clip_value_max", "x_max")],
    ),
    (&["reshape"], "Reshape", &[("shape", "newshape")]),
    (&["transpose"], "Transpose", &[("perm", "axes")]),
    (&["expand_dims"], "ExpandDims", &[("axis", "axis")]),
    (
        &["squeeze", "compat.v1.squeeze"],
        "Squeeze",
        &[("axis", "axis")],
    ),
    (&["concat"], "Concatenate", &[("axis", "axis")]),
    (&["math.sigmoid", "nn.sigmoid", "sigmoid"], "Sigmoid", &[]),
    (&["math.tanh", "nn.tanh", "tanh"], "Tanh", &[]),
    (&["nn.relu"], "Relu", &[]),
    (&["nn.relu6"], "Relu6", &[]),
    (&["nn.silu", "nn.swish"], "Silu", &[]),
    (&["nn.softplus", "math.softplus"], "Softplus", &[]),
    (&["nn.elu"], "Elu", &[]),
    (&["nn.selu"], "Selu", &[]),
    (
        &["nn.leaky_relu"],
        "LeakyRelu",
        &[("alpha", "negative_slope")],
    ),
    (&["nn.gelu"], "Gelu", &[("approximate", "approximate")]),
    (&["nn.softmax"], "Softmax", &[("axis", "axis")]),
];

/// `[["layer", call, output, {arguments}], …]`, or without the outer list, with the name of the
/// function in the configuration.
fn read_tensorflow<'v>(
    config: &'v Value,
    _class_name: &str,
    node: &'v Value,
) -> Result<Read<'v>, Detail> {
    let function = config["function"].as_str().unwrap_or_default();
    let found = FUNCTIONS
        .iter()
        .find(|(names, ..)| names.contains(&function));
    let Some((_, class_name, settings)) = found else {
        let names = FUNCTIONS
            .iter()
            .flat_map(|(names, ..)| names.iter().copied());
        let help = format!(
            "{}; save the model with a layer of your own in its place",
            crate::near(function, names)
        );
        let expected = "a function of TensorFlow that is plain arithmetic";
        return Err(Detail::new("function", expected, format!("{function:?}")).help(help));
    };
    let single = node[0].is_string();
    let inputs = match single {
        true => std::slice::from_ref(node),
        false => node.as_array().map_or(&[][..], Vec::as_slice),
    };
    let mut arguments = BTreeMap::new();
    let mut config = Map::new();
    for input in inputs {
        arguments.insert(arguments.len(), tensorflow_argument(input)?);
        for (key, value) in input[3].as_object().into_iter().flatten() {
            let setting = settings.iter().find(|(name, _)| name == key);
            match (key.as_str(), setting) {
                _ if value.is_null() => {}
                (_, Some((_, name))) => {
                    config.insert((*name).to_string(), value.clone());
                }
                ("name", None) => {}
                ("y", None) if single => {
                    arguments.insert(1, tensorflow_argument(value)?);
                }
                _ => {
                    let received = format!("{key}: {}", brief(value));
                    let expected = format!("arguments that {class_name} has");
                    return Err(Detail::new("inbound_nodes", expected, received));
                }
            }
        }
    }
    Ok(((*class_name).to_string(), config, arguments))
}

/// `["layer", call, output]`, `["_CONSTANT_VALUE", -1, value]`, or a value.
fn tensorflow_argument(value: &Value) -> Result<Argument<'_>, Detail> {
    match value[0].as_str() {
        Some("_CONSTANT_VALUE") => Ok(Argument::Constant(&value[2])),
        Some(_) => read_history(value, true).map(Argument::Input),
        None => Ok(Argument::Constant(value)),
    }
}

/// The operations of TensorFlow's own graphs that are plain arithmetic.
const DEFINITIONS: &[(&[&str], &str)] = &[
    (&["Add", "AddV2"], "Add"),
    (&["Sub"], "Subtract"),
    (&["Mul"], "Multiply"),
    (&["RealDiv", "Div"], "TrueDivide"),
    (&["Maximum"], "Maximum"),
    (&["Minimum"], "Minimum"),
    (&["Pow"], "Power"),
    (&["Neg"], "Negative"),
    (&["Abs"], "Absolute"),
    (&["Square"], "Square"),
    (&["Sqrt"], "Sqrt"),
    (&["Rsqrt"], "Rsqrt"),
    (&["Exp"], "Exp"),
    (&["Log"], "Log"),
    (&["Sigmoid"], "Sigmoid"),
    (&["Tanh"], "Tanh"),
    (&["Relu"], "Relu"),
    (&["Relu6"], "Relu6"),
];

/// `{"node_def": {"op": …}, "constants": {"1": …}}`, as TensorFlow 2.0 to 2.3 wrote operations.
fn read_node_definition<'v>(
    config: &'v Value,
    _class_name: &str,
    node: &'v Value,
) -> Result<Read<'v>, Detail> {
    let text = config["node_def"].as_str();
    let parsed = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let definition = parsed.as_ref().unwrap_or(&config["node_def"]);
    let op = definition["op"].as_str().unwrap_or_default();
    let Some((_, class_name)) = DEFINITIONS.iter().find(|(names, _)| names.contains(&op)) else {
        let names = DEFINITIONS
            .iter()
            .flat_map(|(names, _)| names.iter().copied());
        let help = format!(
            "{}; save the model with a layer of your own in its place",
            crate::near(op, names)
        );
        let expected = "an op of TensorFlow that is plain arithmetic";
        return Err(Detail::new("node_def", expected, format!("{op:?}")).help(help));
    };
    let mut arguments = BTreeMap::new();
    for (position, value) in config["constants"].as_object().into_iter().flatten() {
        let position: usize = position.parse().map_err(|_| {
            Detail::new(
                "constants",
                "positions of arguments",
                format!("{position:?}"),
            )
        })?;
        arguments.insert(position, Argument::Constant(value));
    }
    let mut position = 0;
    for input in node.as_array().into_iter().flatten() {
        while arguments.contains_key(&position) {
            position += 1;
        }
        arguments.insert(position, tensorflow_argument(input)?);
    }
    Ok(((*class_name).to_string(), Map::new(), arguments))
}

/// A constant array: numbers in lists of lists, or Keras' `__tensor__` and `__numpy__` of them.
fn array(value: &Value) -> Result<Tensor, Detail> {
    let wrong = || Detail::new("inbound_nodes", "a number or an array", brief(value));
    let inner = &value["config"]["value"];
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
    let numbers: Option<Vec<f32>> = level
        .iter()
        .map(|value| value.as_f64().map(|number| number as f32))
        .collect();
    Tensor::new(shape, numbers.ok_or_else(wrong)?).map_err(|_| wrong())
}

/// The configuration of an operation: Keras' constructors take the name and the settings alone.
pub(super) fn write(operation: &Operation, name: &str) -> Value {
    use crate::Layer;

    let mut config = operation.config();
    config.insert("name".into(), name.into());
    json!({
        "module": operation.module(),
        "class_name": operation.class_name(),
        "config": config,
        "registered_name": operation.class_name(),
    })
}

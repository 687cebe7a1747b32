//! Operations among the layers of a functional model: those of `keras.ops`, which Keras 3 writes for
//! `x + 3.0`, and in files of Keras 2 `TFOpLambda`, `SlicingOpLambda` and `TensorFlowOpLayer`.

use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::reference::{Reference, read_history};
use crate::Configured;
use crate::layers::Operation;
use crate::layers::operations::arguments::Argument;
use crate::layers::operations::{Takes, find, find_function, functions};
use crate::settings::brief;

/// An operation on its way out of a file, and what it is called with.
struct Reader<'v> {
    operation: Operation,
    inputs: Vec<Reference<'v>>,
}

/// An operation and what it is called with, or nothing if `layer` is not an operation.
pub(super) fn read(layer: &Value) -> Result<Option<(Operation, Vec<Reference<'_>>)>, Detail> {
    let class_name = layer["class_name"].as_str().unwrap_or_default();
    let module = layer["module"].as_str().unwrap_or_default();
    let of_keras3 = module.starts_with("keras.src.ops.") || module.starts_with("keras.ops");
    let read_call = match class_name {
        "TFOpLambda" | "SlicingOpLambda" => read_function,
        "TensorFlowOpLayer" => read_node_definition,
        _ if of_keras3 || is_our_own(layer) || is_operation_of_legacy_file(layer, class_name) => {
            read_keras
        }
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
    let reader = read_call(&layer["config"], class_name, node)?;
    match reader.inputs.is_empty() {
        false => Ok(Some((reader.operation, reader.inputs))),
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

/// Whether this is an operation that we write and Keras has not: what is one function of TensorFlow
/// but several operations of Keras.
fn is_our_own(layer: &Value) -> bool {
    let name = layer["class_name"].as_str().unwrap_or_default();
    let registered = layer["registered_name"].as_str().unwrap_or_default();
    let of_own = find(name).is_some_and(|declared| declared.module.is_empty());
    of_own && registered.strip_prefix("Custom>") == Some(name)
}

fn is_tensor(value: &Value) -> bool {
    value["class_name"] == "__keras_tensor__"
}

impl<'v> Reader<'v> {
    fn new(class_name: &str, config: &Map<String, Value>) -> Result<Self, Detail> {
        let operation = Operation::with_settings(class_name, config);
        operation.check()?;
        Ok(Reader {
            operation,
            inputs: Vec::new(),
        })
    }

    fn input(&mut self, reference: Reference<'v>) -> Argument {
        self.inputs.push(reference);
        Argument::Input(self.inputs.len() - 1)
    }

    /// An argument as Keras 3 serializes it.
    fn keras(&mut self, value: &'v Value) -> Result<Argument, Detail> {
        match value {
            tensor if is_tensor(tensor) => {
                let reference = read_history(&tensor["config"]["keras_history"], false)?;
                Ok(self.input(reference))
            }
            Value::Array(values) if values.iter().any(is_tensor) => {
                let list: Result<Vec<Argument>, Detail> =
                    values.iter().map(|value| self.keras(value)).collect();
                Ok(Argument::List(list?))
            }
            constant => Ok(Argument::Value(constant.clone())),
        }
    }

    /// An argument as Keras 2 serializes it: `["layer", call, output, …]`,
    /// `["_CONSTANT_VALUE", -1, value, …]`, a list of such, or a value.
    fn tensorflow(&mut self, value: &'v Value) -> Result<Argument, Detail> {
        let is_reference = |value: &Value| value[0].is_string() && value[1].is_i64();
        match value {
            constant if constant[0] == "_CONSTANT_VALUE" => {
                Ok(Argument::Value(constant[2].clone()))
            }
            reference if is_reference(reference) => {
                let reference = read_history(reference, true)?;
                Ok(self.input(reference))
            }
            Value::Array(values) if values.iter().any(is_reference) => {
                let list: Result<Vec<Argument>, Detail> =
                    values.iter().map(|value| self.tensorflow(value)).collect();
                Ok(Argument::List(list?))
            }
            constant => Ok(Argument::Value(constant.clone())),
        }
    }

    /// Gives the argument at `position` a value.
    fn place(&mut self, position: usize, argument: Argument, node: &Value) -> Result<(), Detail> {
        match self.operation.argument_name(position) {
            Some(name) => {
                self.operation.set(name, argument);
                Ok(())
            }
            None => {
                let expected = "as many arguments as the operation has";
                Err(Detail::new("inbound_nodes", expected, brief(node)))
            }
        }
    }
}

/// `{"args": […], "kwargs": {…}}`, with the settings in the configuration.
fn read_keras<'v>(
    config: &'v Value,
    class_name: &str,
    node: &'v Value,
) -> Result<Reader<'v>, Detail> {
    let mut config = config.as_object().cloned().unwrap_or_default();
    config.retain(|key, value| {
        let of_every_layer = matches!(key.as_str(), "name" | "trainable");
        // The type of an operation is a policy; that of a cast is a name.
        let policy = key == "dtype" && value.is_object();
        !of_every_layer && !policy
    });
    let mut reader = Reader::new(class_name, &config)?;
    let positional = node["args"].as_array().map_or(&[][..], Vec::as_slice);
    if let Takes::Many(name) = reader.operation.takes() {
        let list: Result<Vec<Argument>, Detail> =
            positional.iter().map(|value| reader.keras(value)).collect();
        reader.operation.set(name, Argument::List(list?));
    } else {
        for (position, value) in positional.iter().enumerate() {
            let argument = reader.keras(value)?;
            reader.place(position, argument, node)?;
        }
    }
    for (key, value) in node["kwargs"].as_object().into_iter().flatten() {
        if !value.is_null() {
            let argument = reader.keras(value)?;
            reader.operation.set(key, argument);
        }
    }
    Ok(reader)
}

/// What a function of TensorFlow calls one of its arguments, as ours: the other name, and how its
/// value changes.
enum Change {
    Same,
    /// A list of sizes, where ours has positions.
    Positions,
    /// A bound of a square, where ours is that of its root.
    Root,
}

/// The name and the change of an argument; nothing if it is left out: `-name` where it is off.
fn renamed<'f>(specification: &'f str, key: &'f str, value: &Value) -> Option<(&'f str, Change)> {
    // Channels stand last unless told otherwise.
    let last = ["channels_last", "N...C", "NWC", "NHWC", "NDHWC"];
    let off = *value == json!(false)
        || *value == json!(0)
        || value.as_str().is_some_and(|text| last.contains(&text));
    if value.is_null() {
        return None;
    }
    for entry in specification.split_whitespace() {
        match entry.split_once('=') {
            Some((theirs, ours)) if theirs == key => {
                return Some(match (ours.strip_prefix('Σ'), ours.strip_prefix('√')) {
                    (Some(ours), _) => (ours, Change::Positions),
                    (_, Some(ours)) => (ours, Change::Root),
                    _ => (ours, Change::Same),
                });
            }
            None if entry.strip_prefix('-') == Some(key) && off => return None,
            None if entry.strip_prefix('~') == Some(key) => return None,
            _ => {}
        }
    }
    (key != "name").then_some((key, Change::Same))
}

/// A setting of TensorFlow in Keras' words.
fn in_words_of_keras(function: &str, name: &str, value: &Value, change: &Change) -> Value {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    match (change, name, value) {
        (Change::Root, ..) => number(value).sqrt().into(),
        (Change::Positions, _, Value::Array(sizes)) => {
            let mut end = 0;
            let ends = sizes
                .iter()
                .take(sizes.len().saturating_sub(1))
                .map(|size| {
                    end += size.as_i64().unwrap_or(i64::MAX / 2).max(-1);
                    end
                });
            ends.collect()
        }
        (_, "padding" | "mode", Value::String(text)) => text.to_ascii_lowercase().into(),
        (_, "data_format", Value::String(text)) => match text.starts_with("NC") {
            true => "channels_first".into(),
            false => "channels_last".into(),
        },
        (_, "strides" | "dilation_rate" | "pool_size", Value::Array(sizes)) => {
            let axes = [("1d", 1), ("2d", 2), ("3d", 3), ("", 2)];
            let of_name = axes.iter().find(|(ending, _)| function.ends_with(ending));
            let axes = of_name.map_or(2, |(_, axes)| *axes);
            match sizes.len() == axes + 2 {
                true => sizes[1..=axes].into(),
                false => value.clone(),
            }
        }
        (_, "ord", Value::String(text)) if text == "euclidean" => Value::Null,
        // Keras takes no slice without a list around it.
        (_, "key", slice @ Value::Object(_)) => json!([in_slices_of_keras(slice)]),
        (_, "key", key) => in_slices_of_keras(key),
        _ => value.clone(),
    }
}

/// The slices of Keras 2 as Keras 3 has them.
fn in_slices_of_keras(key: &Value) -> Value {
    match key {
        Value::Array(entries) => entries.iter().map(in_slices_of_keras).collect(),
        Value::Object(slice) if slice.contains_key("start") || slice.contains_key("stop") => {
            json!({ "class_name": "__slice__", "config": slice })
        }
        Value::Object(_) if key["class_name"] == "__ellipsis__" => {
            json!({ "class_name": "__ellipsis__", "config": {} })
        }
        other => other.clone(),
    }
}

/// A list of numbers as an array, since Keras takes no lists for values.
fn as_array(value: Value) -> Value {
    fn whole(value: &Value) -> bool {
        match value {
            Value::Array(values) => values.iter().all(whole),
            value => value.is_i64(),
        }
    }
    match value {
        Value::Array(_) => {
            let dtype = if whole(&value) { "int32" } else { "float32" };
            let config = json!({ "value": value, "dtype": dtype });
            json!({ "class_name": "__numpy__", "config": config })
        }
        value => value,
    }
}

/// `[["layer", call, output, {arguments}], …]`, or without the outer list, with the name of the
/// function in the configuration.
fn read_function<'v>(
    config: &'v Value,
    _class_name: &str,
    node: &'v Value,
) -> Result<Reader<'v>, Detail> {
    let name = config["function"].as_str().unwrap_or_default();
    let Some((class_name, function)) = find_function(name) else {
        return Err(unknown("function", "a function of TensorFlow", name));
    };
    let single = node[0].is_string();
    let arguments = match single {
        true => &node[3],
        false => &node[0][3],
    };
    let arguments = arguments.as_object();
    let settings = function.own_settings();
    let is_on = |key: &str| arguments.is_some_and(|all| all.get(key) == Some(&json!(true)));
    // Keras' product of matrices turns none of them, but its sums of products do.
    let turns = class_name == "Matmul" && (is_on("transpose_a") || is_on("transpose_b"));
    let mut reader = match turns {
        false => Reader::new(class_name, &settings)?,
        true => {
            let first = if is_on("transpose_a") {
                "...ba"
            } else {
                "...ab"
            };
            let second = if is_on("transpose_b") {
                "...cb"
            } else {
                "...bc"
            };
            let subscripts = format!("{first},{second}->...ac");
            Reader::new(
                "Einsum",
                &Map::from_iter([("subscripts".into(), subscripts.into())]),
            )?
        }
    };
    let first = match single {
        true => reader.tensorflow(node)?,
        false => {
            let values = node.as_array().map_or(&[][..], Vec::as_slice);
            let list: Result<Vec<Argument>, Detail> = values
                .iter()
                .map(|value| reader.tensorflow(value))
                .collect();
            match (reader.operation.takes(), list?) {
                (Takes::Values(_), mut list) if list.len() == 1 => list.remove(0),
                (_, list) => Argument::List(list),
            }
        }
    };
    let mut operands = Vec::new();
    match reader.operation.takes() {
        Takes::Many(_) => operands.push(first),
        _ => reader.place(0, first, node)?,
    }
    for (key, value) in arguments.into_iter().flatten() {
        let Some((ours, change)) = renamed(function.arguments, key, value) else {
            continue;
        };
        let argument = match reader.tensorflow(value)? {
            Argument::Value(value) => {
                let value = in_words_of_keras(name, ours, &value, &change);
                let listed = matches!(ours, "key" | "indices" | "start_indices");
                let of_call = (0..4).any(|at| reader.operation.argument_name(at) == Some(ours));
                Argument::Value(match of_call && !listed {
                    true => as_array(value),
                    false => value,
                })
            }
            argument => argument,
        };
        match turns {
            true if ours == "x2" => operands.push(argument),
            true if key.starts_with("transpose") => {}
            _ => reader.operation.set(ours, argument),
        }
    }
    if let Takes::Many(list) = reader.operation.takes() {
        reader.operation.set(list, Argument::List(operands));
    }
    Ok(reader)
}

/// A function or an op that is not known, with those that are near.
fn unknown(at: &str, what: &str, name: &str) -> Detail {
    let names = functions().flat_map(|(_, function)| function.names.split(' '));
    let help = format!(
        "{}; save the model with a layer of your own in its place",
        crate::near(name, names)
    );
    let expected = format!("{what} that is a formula of one sample");
    Detail::new(at, expected, format!("{name:?}")).help(help)
}

/// `{"node_def": {"op": …}, "constants": {"1": …}}`, as TensorFlow 2.0 to 2.3 wrote operations.
fn read_node_definition<'v>(
    config: &'v Value,
    _class_name: &str,
    node: &'v Value,
) -> Result<Reader<'v>, Detail> {
    let text = config["node_def"].as_str();
    let parsed = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let definition = parsed.as_ref().unwrap_or(&config["node_def"]);
    let op = definition["op"].as_str().unwrap_or_default();
    let Some((class_name, function)) = find_function(op) else {
        return Err(unknown("node_def", "an op of TensorFlow", op));
    };
    let settings = function.own_settings();
    let mut reader = Reader::new(class_name, &settings)?;
    let mut taken = Vec::new();
    for (position, value) in config["constants"].as_object().into_iter().flatten() {
        let position: usize = position.parse().map_err(|_| {
            Detail::new(
                "constants",
                "positions of arguments",
                format!("{position:?}"),
            )
        })?;
        reader.place(position, Argument::Value(as_array(value.clone())), node)?;
        taken.push(position);
    }
    let mut position = 0;
    for input in node.as_array().into_iter().flatten() {
        while taken.contains(&position) {
            position += 1;
        }
        let argument = reader.tensorflow(input)?;
        reader.place(position, argument, node)?;
        position += 1;
    }
    Ok(reader)
}

/// The configuration of an operation: Keras' constructors take the name and the settings alone.
pub(super) fn write(operation: &Operation, name: &str) -> Value {
    let mut config = operation.config();
    config.insert("name".into(), name.into());
    let class = operation.class();
    let (module, registered) = match class.module {
        "" => (Value::Null, format!("Custom>{}", class.name)),
        module => (module.into(), class.name.to_string()),
    };
    json!({
        "module": module,
        "class_name": class.name,
        "config": config,
        "registered_name": registered,
    })
}

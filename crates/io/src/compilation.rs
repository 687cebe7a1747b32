//! What `compile` was given, in the two forms that Keras has for it.

use serde_json::{Value, json};

/// What Keras 3 has in a `.keras` file, from either form.
pub(crate) fn of_keras_3(compile: &Value) -> Value {
    let optimizer = &compile["optimizer_config"];
    if optimizer.is_null() {
        return compile.clone();
    }
    json!({
        "optimizer": found_in("keras.optimizers", optimizer),
        "loss": found_in("keras.losses", &compile["loss"]),
        "loss_weights": compile["loss_weights"],
        "metrics": found_in("keras.metrics", &compile["metrics"]),
        "weighted_metrics": found_in("keras.metrics", &compile["weighted_metrics"]),
        "run_eagerly": false,
        "steps_per_execution": 1,
        "jit_compile": false,
    })
}

/// The same, where each object says in which module its class is; legacy files leave that out.
fn found_in(module: &str, value: &Value) -> Value {
    let within = |value: &Value| found_in(module, value);
    match value {
        Value::Array(values) => values.iter().map(within).collect(),
        Value::Object(object) => match object.get("class_name").and_then(Value::as_str) {
            Some(class) if !object.contains_key("module") => {
                // What somebody registered is found by its name (`Custom>Mine`).
                let own = class.contains('>');
                json!({
                    "module": if own { Value::Null } else { module.into() },
                    "class_name": class,
                    "config": value["config"],
                    "registered_name": if own { class.into() } else { Value::Null },
                })
            }
            Some(_) => value.clone(),
            None => Value::Object(
                object
                    .iter()
                    .map(|(key, value)| (key.clone(), within(value)))
                    .collect(),
            ),
        },
        other => other.clone(),
    }
}

/// What Keras has in a legacy file, from either form; `None` if the model was not compiled with an optimizer.
pub(crate) fn of_legacy(compile: &Value) -> Option<Value> {
    if !compile["optimizer_config"].is_null() {
        return Some(compile.clone());
    }
    let optimizer = &compile["optimizer"];
    // By its name alone, with Keras' defaults.
    let optimizer = match optimizer {
        Value::Null => return None,
        Value::String(name) => json!({"class_name": name, "config": {}}),
        optimizer => json!({
            "class_name": optimizer["class_name"],
            "config": optimizer["config"],
        }),
    };
    Some(json!({
        "loss": compile["loss"],
        "metrics": compile["metrics"],
        "weighted_metrics": compile["weighted_metrics"],
        "loss_weights": compile["loss_weights"],
        "optimizer_config": optimizer,
    }))
}

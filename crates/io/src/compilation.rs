//! What `compile` was given, in the two forms that Keras has for it.

use serde_json::{Value, json};

/// What Keras 3 has in a `.keras` file, from either form.
pub(crate) fn of_keras_3(compile: &Value) -> Value {
    let optimizer = &compile["optimizer_config"];
    if optimizer.is_null() {
        return compile.clone();
    }
    let optimizer = match optimizer.get("module") {
        Some(_) => optimizer.clone(),
        None => json!({
            "module": "keras.optimizers",
            "class_name": optimizer["class_name"],
            "config": optimizer["config"],
            "registered_name": null,
        }),
    };
    json!({
        "optimizer": optimizer,
        "loss": compile["loss"],
        "loss_weights": compile["loss_weights"],
        "metrics": compile["metrics"],
        "weighted_metrics": compile["weighted_metrics"],
        "run_eagerly": false,
        "steps_per_execution": 1,
        "jit_compile": false,
    })
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

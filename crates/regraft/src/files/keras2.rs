//! What means something else in files of Keras 1 and 2 than in those of Keras 3: words, and layers, which are
//! told that they come from one.

use std::borrow::Cow;

use regraft_io::{Checkpoint, Format};
use serde_json::Value;

/// `hard_sigmoid`: x / 5 + 1/2 then, x / 6 + 1/2 now.
const ACTIVATIONS: [(&str, &str); 1] = [("hard_sigmoid", "keras2_hard_sigmoid")];

/// The configuration of a file, in words as Keras 3 means them.
pub(crate) fn translated<'c>(checkpoint: &Checkpoint, config: &'c Value) -> Cow<'c, Value> {
    if !is_before_keras_3(checkpoint) {
        return Cow::Borrowed(config);
    }
    let mut translated = config.clone();
    translate(&mut translated);
    Cow::Owned(translated)
}

/// What `compile` was given, as Keras 3 means it for a model with these outputs: a list of metrics alone was
/// for each output then, and is one for each in order now; and legacy files and SavedModels have metrics as they are
/// called in the end, with the output in front, which is put there when they are compiled.
pub(crate) fn compilation<'c>(
    checkpoint: &Checkpoint,
    config: &'c Value,
    outputs: &[String],
) -> Cow<'c, Value> {
    if outputs.len() < 2 || !is_before_keras_3(checkpoint) {
        return Cow::Borrowed(config);
    }
    let has_names = !matches!(checkpoint.format, Format::KerasArchive(_));
    let is_one = |value: &Value| value.is_string() || value.get("class_name").is_some();
    let mut compilation = config.clone();
    for key in ["metrics", "weighted_metrics"] {
        let for_all = match &compilation[key] {
            Value::Array(metrics) => !metrics.is_empty() && metrics.iter().all(is_one),
            metric => is_one(metric),
        };
        if for_all {
            compilation[key] = vec![compilation[key].clone(); outputs.len()].into();
        }
        if let (true, Value::Array(each)) = (has_names, &mut compilation[key]) {
            for (metrics, output) in each.iter_mut().zip(outputs) {
                without_output(metrics, &format!("{output}_"));
            }
        }
    }
    Cow::Owned(compilation)
}

/// Takes the output's name from the names of its metrics.
fn without_output(metrics: &mut Value, output: &str) {
    match metrics {
        Value::Array(metrics) => metrics.iter_mut().for_each(|it| without_output(it, output)),
        metric => {
            let name = metric["config"]["name"].as_str();
            let own = name
                .and_then(|name| name.strip_prefix(output))
                .map(str::to_string);
            if let Some(own) = own {
                metric["config"]["name"] = own.into();
            }
        }
    }
}

/// Whether Keras 1 or 2 wrote the file. Where it names no version, its kind tells: only they write
/// SavedModels and legacy files without one.
fn is_before_keras_3(checkpoint: &Checkpoint) -> bool {
    match &checkpoint.metadata.keras_version {
        // TensorFlow.js names itself (`tfjs-layers 4.22.0`) and goes on with Keras 2's functions.
        Some(version) => {
            let major = version.split('.').next().unwrap_or_default();
            major.parse::<u32>().map_or(true, |major| major < 3)
        }
        None => !matches!(
            checkpoint.format,
            Format::KerasArchive(_) | Format::Safetensors
        ),
    }
}

fn translate(value: &mut Value) {
    match value {
        Value::Object(object) => {
            let config = object.get("config");
            if object.contains_key("class_name") && config.is_some_and(|it| it["name"].is_string())
            {
                object.insert("keras2".into(), true.into());
            }
            for (key, value) in object {
                let named = value.as_str().filter(|_| key.ends_with("activation"));
                let renamed = ACTIVATIONS.iter().find(|(old, _)| Some(*old) == named);
                match renamed {
                    Some((_, new)) => *value = (*new).into(),
                    None => translate(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(translate),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_version_decides_what_a_word_means() {
        let config = json!({"layers": [{"class_name": "Dense", "config": {"activation": "hard_sigmoid", "name": "hard_sigmoid"}}]});
        let mut checkpoint = Checkpoint::new(Format::LegacyModel);
        for (version, expected) in [
            (Some("1.2.2"), "keras2_hard_sigmoid"),
            (Some("2.15.0"), "keras2_hard_sigmoid"),
            (None, "keras2_hard_sigmoid"),
            (Some("tfjs-layers 4.22.0"), "keras2_hard_sigmoid"),
            (Some("3.15.1"), "hard_sigmoid"),
        ] {
            checkpoint.metadata.keras_version = version.map(str::to_string);
            let translated = translated(&checkpoint, &config);
            let of_keras2 = translated["layers"][0]["keras2"] == true;
            assert_eq!(of_keras2, expected != "hard_sigmoid", "{version:?}");
            let layer = &translated["layers"][0]["config"];
            assert_eq!(layer["activation"], expected, "{version:?}");
            assert_eq!(layer["name"], "hard_sigmoid");
        }
    }
}

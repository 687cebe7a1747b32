//! What a model's configuration tells of the places of its layers: their names, and the keys that Keras 3's
//! weight files have for them.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::naming::ContainerKeys;

/// A layer that a configuration lists.
#[derive(Clone, Debug)]
pub(crate) struct Place<'c> {
    /// In layers' names: `base/conv1`.
    pub path: String,
    /// In Keras' keys: `layers/functional/layers/conv2d`.
    pub key: String,
    pub class: &'c str,
    pub config: &'c Value,
    /// Whether it is a model; its layers follow it.
    pub is_model: bool,
    /// Whether neither it nor a model that it is in is frozen.
    pub trainable: bool,
}

impl Place<'_> {
    /// The layer's own name.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The name of the layer of the whole model that it is, or is in.
    pub fn top(&self) -> &str {
        self.path.split('/').next().unwrap_or(&self.path)
    }

    /// The path within that layer; empty for the layer itself.
    pub fn inner(&self) -> &str {
        self.path.split_once('/').map_or("", |(_, inner)| inner)
    }

    /// What the layer calls its own weights, in their order, if its class is one of Keras' plain ones.
    pub fn variables(&self) -> Option<Vec<&'static str>> {
        let flag = |key: &str| self.config[key].as_bool().unwrap_or(true);
        let when = |key: &str, name: &'static str| flag(key).then_some(name);
        let names = match self.class {
            "Dense" | "Conv1D" | "Conv2D" | "Conv3D" | "Conv1DTranspose" | "Conv2DTranspose"
            | "Conv3DTranspose" | "DepthwiseConv1D" | "DepthwiseConv2D" => {
                vec![Some("kernel"), when("use_bias", "bias")]
            }
            "SeparableConv1D" | "SeparableConv2D" => vec![
                Some("depthwise_kernel"),
                Some("pointwise_kernel"),
                when("use_bias", "bias"),
            ],
            "BatchNormalization" => vec![
                when("scale", "gamma"),
                when("center", "beta"),
                Some("moving_mean"),
                Some("moving_variance"),
            ],
            "LayerNormalization" | "GroupNormalization" => {
                vec![when("scale", "gamma"), when("center", "beta")]
            }
            "RMSNormalization" => vec![Some("scale")],
            "Embedding" => vec![Some("embeddings")],
            "PReLU" => vec![Some("alpha")],
            "Normalization" => vec![Some("mean"), Some("variance"), Some("count")],
            _ => return None,
        };
        Some(names.into_iter().flatten().collect())
    }

    /// How many of its own weights, the last ones, are statistics and never trained.
    pub fn statistics(&self) -> usize {
        match self.class {
            "BatchNormalization" => 2,
            "Normalization" => 3,
            _ => 0,
        }
    }

    /// Whether it holds weights in other forms than its class has by itself: quantized, or with a low-rank
    /// update.
    pub fn is_altered(&self) -> bool {
        let policy = &self.config["dtype"];
        let quantized = policy["class_name"]
            .as_str()
            .is_some_and(|class| class.contains("Quantized"));
        quantized
            || !self.config["quantization_config"].is_null()
            || !self.config["lora_rank"].is_null()
    }
}

/// Every layer of the model that `config` describes, those of a nested model after it.
pub(crate) fn places(config: &Value) -> Vec<Place<'_>> {
    let mut places = Vec::new();
    collect(config, "", "layers", true, &mut places);
    places
}

/// The name of the model that `config` describes.
pub(crate) fn model_name(config: &Value) -> Option<&str> {
    config["config"]["name"].as_str()
}

/// As a `.keras` file has it, if Keras 3 wrote it: there the model says where its class is, in legacy files
/// it does not. Keras reads the layers in either form.
pub(crate) fn of_keras_3(config: &Value, version: Option<&str>) -> Option<Value> {
    if config.get("module").is_some() {
        return Some(config.clone());
    }
    let layers = config["config"]["layers"].as_array()?;
    let major = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    let is_keras_3 = major.is_some_and(|major| major >= 3);
    if !is_keras_3 && layers.iter().any(|layer| layer.get("module").is_none()) {
        return None;
    }
    let (module, registered) = match config["class_name"].as_str()? {
        "Sequential" => ("keras", Value::Null),
        "Functional" | "Model" => ("keras.src.models.functional", "Functional".into()),
        _ => return None,
    };
    let mut whole = Map::new();
    whole.insert("module".to_string(), module.into());
    whole.extend(config.as_object()?.clone());
    whole.insert("registered_name".to_string(), registered);
    Some(Value::Object(whole))
}

fn collect<'c>(
    model: &'c Value,
    path: &str,
    container: &str,
    trainable: bool,
    places: &mut Vec<Place<'c>>,
) {
    let inner = &model["config"];
    // Keras 1 and 2 had the list itself as the configuration of a `Sequential`.
    let layers = inner.as_array().or(inner["layers"].as_array());
    let mut keys: ContainerKeys = ContainerKeys::default();
    for layer in layers.into_iter().flatten() {
        let Some(class) = layer["class_name"].as_str() else {
            continue;
        };
        let config = &layer["config"];
        let Some(name) = config["name"].as_str().or(layer["name"].as_str()) else {
            continue;
        };
        let path = match path {
            "" => name.to_string(),
            path => format!("{path}/{name}"),
        };
        let key = format!("{container}/{}", keys.next(class));
        let trainable = trainable && config["trainable"].as_bool().unwrap_or(true);
        let is_model = config["layers"].is_array() || config.is_array();
        places.push(Place {
            path: path.clone(),
            key: key.clone(),
            class,
            config,
            is_model,
            trainable,
        });
        if is_model {
            collect(layer, &path, &format!("{key}/layers"), trainable, places);
        }
    }
}

/// Places by their keys.
pub(crate) fn by_key<'p, 'c>(places: &'p [Place<'c>]) -> HashMap<&'p str, &'p Place<'c>> {
    places
        .iter()
        .map(|place| (place.key.as_str(), place))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn layers_have_names_keys_and_states() {
        let config = json!({"class_name": "Functional", "module": "keras", "config": {"name": "m", "layers": [
            {"class_name": "InputLayer", "config": {"name": "x"}},
            {"class_name": "Sequential", "config": {"name": "base", "trainable": false, "layers": [
                {"class_name": "Dense", "config": {"name": "a"}},
                {"class_name": "Dense", "config": {"name": "b", "use_bias": false}},
            ]}},
            {"class_name": "Dense", "config": {"name": "c"}},
        ]}});
        let places = places(&config);
        let told: Vec<(&str, &str, bool)> = places
            .iter()
            .map(|place| (place.path.as_str(), place.key.as_str(), place.trainable))
            .collect();
        assert_eq!(
            told,
            [
                ("x", "layers/input_layer", true),
                ("base", "layers/sequential", false),
                ("base/a", "layers/sequential/layers/dense", false),
                ("base/b", "layers/sequential/layers/dense_1", false),
                ("c", "layers/dense", true),
            ]
        );
        assert_eq!(places[3].variables(), Some(vec!["kernel"]));
        assert_eq!(of_keras_3(&config, None), Some(config.clone()));
        // Without modules the version tells who wrote it.
        let legacy = json!({"class_name": "Sequential", "config": {"name": "m", "layers": [
            {"class_name": "Dense", "config": {"name": "a"}},
        ]}});
        let whole = of_keras_3(&legacy, Some("3.15.1")).unwrap();
        assert_eq!(
            (&whole["module"], &whole["config"]),
            (&json!("keras"), &legacy["config"])
        );
        for version in [None, Some("2.15.0")] {
            assert_eq!(of_keras_3(&legacy, version), None);
        }
        assert_eq!(model_name(&config), Some("m"));
    }
}

//! The order of the layers that a model's configuration lists, brought to the layers of a file that
//! has none of its own.

use std::collections::HashMap;

use serde_json::Value;

use crate::SavedLayer;

/// Sorts `layers`, whose paths are scopes such as `base/conv1`, as `config` lists them. Layers that it
/// does not list stay in their order, at the end.
pub(crate) fn sort(layers: &mut [SavedLayer], config: &Value) {
    let order = order(config);
    // The innermost layer that is known: a cell is part of its layer.
    layers.sort_by_cached_key(|layer| {
        let known = layer.path.rsplit('/').find_map(|name| order.get(name));
        known.copied().unwrap_or(usize::MAX)
    });
}

/// The place of each layer's name, a nested model's layers in the place of the model.
fn order(config: &Value) -> HashMap<&str, usize> {
    let mut order = HashMap::new();
    let mut open = vec![config];
    while let Some(value) = open.pop() {
        let inner = &value["config"];
        let name = inner["name"].as_str().or(value["name"].as_str());
        if let Some(name) = name {
            let place = order.len();
            order.entry(name).or_insert(place);
        }
        // Keras 1 and 2 had the list itself as the configuration of a `Sequential`.
        let layers = inner.as_array().or(inner["layers"].as_array());
        open.extend(layers.into_iter().flatten().rev());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn layers_come_as_the_config_lists_them() {
        let config = json!({"class_name": "Sequential", "config": [
            {"class_name": "Dense", "config": {"name": "dense_9"}},
            {"class_name": "Model", "config": {"name": "base", "layers": [
                {"name": "conv", "config": {}},
            ]}},
            {"class_name": "LSTM", "config": {"name": "lstm"}},
            {"class_name": "Dense", "config": {"name": "dense_10"}},
        ]});
        let paths = [
            "other",
            "dense_10",
            "lstm/lstm_cell",
            "base/conv",
            "dense_9",
        ];
        let mut layers: Vec<_> = paths.map(|path| SavedLayer::new(path, path)).into();
        sort(&mut layers, &config);
        let sorted: Vec<&str> = layers.iter().map(|layer| layer.path.as_str()).collect();
        let expected = [
            "dense_9",
            "base/conv",
            "lstm/lstm_cell",
            "dense_10",
            "other",
        ];
        assert_eq!(sorted, expected);
    }
}

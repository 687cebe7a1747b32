//! What loading and saving agree on: the places of layers in Keras' files, and our own entries.

use std::collections::HashMap;

use regraft_io::ContainerKeys;
use regraft_layers::{Model as Network, Place};

/// The entry of a file's metadata that holds the names of the classes.
pub(crate) const CLASS_NAMES: &str = "class_names";

/// The entry of a file's metadata that holds all metrics, if there are some that Keras does not have.
pub(crate) const OWN_METRICS: &str = "regraft_metrics";

/// The attribute of a wrapper that is a list of layers, which is a container as that of a model is.
const LIST: &str = "cells";

/// Every layer with the path that Keras' weight files have for it.
pub(crate) fn keyed_places(model: &Network) -> Vec<(String, Place<'_>)> {
    let mut counters: HashMap<String, ContainerKeys> = HashMap::new();
    let mut containers: HashMap<String, String> = HashMap::new();
    containers.insert(String::new(), "layers".to_string());
    let mut keys: HashMap<String, String> = HashMap::new();
    let mut keyed = Vec::new();
    for place in model.places() {
        let parent = place.path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let container = containers.get(parent).cloned().unwrap_or_default();
        let key = match (place.attribute, keys.get(parent)) {
            (Some(LIST), Some(wrapper)) => {
                let list = format!("{wrapper}/{LIST}");
                let counter = counters.entry(list.clone()).or_default();
                format!("{list}/{}", counter.next(place.class_name))
            }
            (Some(attribute), Some(wrapper)) => format!("{wrapper}/{attribute}"),
            _ => {
                let counter = counters.entry(container.clone()).or_default();
                format!("{container}/{}", counter.next(place.class_name))
            }
        };
        keys.insert(place.path.clone(), key.clone());
        if place.is_model {
            containers.insert(place.path.clone(), format!("{key}/layers"));
        }
        keyed.push((key, place));
    }
    keyed
}

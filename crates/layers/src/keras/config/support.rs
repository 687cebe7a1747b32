//! What several readers of configurations need.

use regraft_tensor::Detail;
use serde_json::Value;

use crate::Error;

/// An error at `at`.
pub(super) fn wrong(at: &str, expected: &str, received: impl std::fmt::Display) -> Error {
    Error::Config(Detail::new(at, expected, received))
}

/// Whether a functional model's configuration is of Keras 1 or 2, which write calls as lists.
pub(super) fn written_by_keras2(config: &Value) -> bool {
    let layers = config["layers"].as_array().into_iter().flatten();
    let nodes = layers.flat_map(|layer| layer["inbound_nodes"].as_array().into_iter().flatten());
    nodes.into_iter().any(Value::is_array)
}

/// The name of a layer in Keras 3, which does not allow what Keras 2 had in DenseNet (`conv1/conv`),
/// and has `conv1_conv` there.
pub(super) fn without_slashes(name: &str) -> String {
    name.replace('/', "_")
}

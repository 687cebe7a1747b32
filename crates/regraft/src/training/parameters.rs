//! Weights as an optimizer knows them.

use regraft_layers::{Model as Network, Weight, WeightKind};
use regraft_optimizers::ParameterInfo;

/// The parameters that are trained now, in the model's order: what Keras keeps slots for.
pub(crate) fn trained_parameters(model: &Network) -> Vec<ParameterInfo> {
    model
        .places()
        .iter()
        .filter(|place| place.freezing.trains_parameters() && !place.is_repeated)
        .flat_map(|place| place.weights)
        .filter_map(|&id| model.weights().get(id))
        .filter(|weight| weight.kind() == WeightKind::Parameter)
        .map(parameter)
        .collect()
}

/// A weight as the optimizer knows it. Its memory is that of the weight itself, not of the next one
/// that bears the name.
pub(crate) fn parameter(weight: &Weight) -> ParameterInfo {
    ParameterInfo::new(weight.path(), weight.value().shape()).id(weight.id().0 as u64)
}

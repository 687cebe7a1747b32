//! Weights as an optimizer knows them.

use regraft_layers::{Model as Network, Place, Weight, WeightKind};
use regraft_optimizers::ParameterInfo;

/// The parameters that Keras keeps slots for, in the model's order: those of layers that are trained.
/// Keras does not know of weights that are frozen alone, so they are among them; those that are trained
/// in frozen layers follow.
pub(crate) fn parameters_with_memory(model: &Network) -> Vec<ParameterInfo> {
    let places = model.places();
    let of = |place: &Place<'_>, trained: bool| -> Vec<ParameterInfo> {
        let by_layer = place.freezing.trains_parameters();
        let ids = place.all_weights();
        let ids = ids.filter(|_| !place.is_repeated && by_layer == trained);
        let weights = ids.filter_map(|&id| model.weights().get(id));
        let parameters = weights.filter(|weight| weight.kind() == WeightKind::Parameter);
        let known = parameters.filter(|weight| by_layer || place.moves(weight));
        known.map(parameter).collect()
    };
    let of_trained = places.iter().flat_map(|place| of(place, true));
    let alone = places.iter().flat_map(|place| of(place, false));
    of_trained.chain(alone).collect()
}

/// A weight as the optimizer knows it. Its memory is that of the weight itself, not of the next one
/// that bears the name.
pub(crate) fn parameter(weight: &Weight) -> ParameterInfo {
    ParameterInfo::new(weight.path(), weight.value().shape()).id(weight.id().0 as u64)
}

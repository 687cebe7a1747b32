//! The optimizer's memory in a file: which parameters it belongs to, and its order.

use regraft_io::{SavedOptimizer, SavedWeight, TensorData};
use regraft_layers::{Model as LayersModel, Weight, WeightKind};
use regraft_optimizers::{Optimizer, ParameterInfo, State};
use regraft_tensor::Tensor;

use crate::trainable::{Network, Trainable};

/// The parameters that are trained now, in the model's order: what Keras keeps slots for.
pub(crate) fn trained_parameters(model: &LayersModel) -> Vec<ParameterInfo> {
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

/// The optimizer with the file's memory, or why it cannot be.
pub(crate) fn restored<N: Network>(
    model: &Trainable<N>,
    saved: &SavedOptimizer,
) -> Result<Optimizer, String> {
    let Some(training) = &model.training else {
        return Err("the model is not compiled".to_string());
    };
    if training.unknown_optimizer.is_some() {
        return Err("the file's optimizer is not known".to_string());
    }
    if let Some(name) = &saved.name
        && name != training.optimizer.name()
    {
        return Err(format!("the file's is {name}"));
    }
    let variables: Result<Vec<(String, Tensor)>, _> = saved
        .slots()
        .iter()
        .enumerate()
        .map(|(index, slot)| Ok((index.to_string(), slot.tensor.to_tensor()?)))
        .collect();
    let state = State {
        iteration: saved
            .iterations()
            .and_then(|steps| u64::try_from(steps).ok())
            .unwrap_or(0),
        learning_rate: saved.learning_rate(),
        variables: variables.map_err(|error: regraft_io::Error| error.to_string())?,
        updates: Vec::new(),
    };
    let mut optimizer = training.optimizer.clone();
    let parameters = trained_parameters(model.network.model());
    match optimizer.restore(&parameters, &state) {
        Ok(()) => Ok(optimizer),
        Err(error) => Err(error.to_string()),
    }
}

/// The optimizer's memory as Keras stores it: iteration, learning rate, slots.
pub(crate) fn saved(model: &LayersModel, optimizer: &Optimizer) -> SavedOptimizer {
    let state = optimizer.state(&trained_parameters(model));
    let mut variables = vec![SavedWeight::new(
        "iteration",
        TensorData::scalar(i64::try_from(state.iteration).unwrap_or(i64::MAX)),
    )];
    if let Some(rate) = state.learning_rate {
        variables.push(SavedWeight::new("learning_rate", TensorData::scalar(rate)));
    }
    variables.extend(
        state
            .variables
            .into_iter()
            .map(|(name, value)| SavedWeight::new(name, value)),
    );
    SavedOptimizer {
        name: Some(optimizer.name().to_string()),
        variables,
        loss_scale: Vec::new(),
    }
}

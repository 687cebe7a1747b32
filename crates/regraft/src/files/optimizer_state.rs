//! The optimizer's memory in a file: which parameters it belongs to, and its order.

use regraft_io::{SavedOptimizer, SavedWeight, TensorData};
use regraft_layers::Model as Network;
use regraft_optimizers::{Optimizer, State};
use regraft_tensor::Tensor;

use crate::Model;
use crate::training::parameters::parameters_with_memory;

/// The optimizer with the file's memory, or why it cannot be.
pub(crate) fn restored(model: &Model, saved: &SavedOptimizer) -> Result<Optimizer, String> {
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
    let parameters = parameters_with_memory(&model.network);
    match optimizer.restore(&parameters, &state) {
        Ok(()) => Ok(optimizer),
        Err(error) => Err(error.to_string()),
    }
}

/// The optimizer's memory as Keras stores it: iteration, learning rate, slots.
pub(crate) fn saved(model: &Network, optimizer: &Optimizer) -> SavedOptimizer {
    let state = optimizer.state(&parameters_with_memory(model));
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

//! The weights of a model as they were at some moment.

use regraft_autograd::VariableId;
use regraft_layers::{Model, Weight};
use regraft_tensor::{Detail, Tensor};

use super::CallbackState;
use crate::{Error, Result};

/// All weights. Taking them copies nothing: a tensor shares its memory until the next step writes to
/// it, so frozen weights are never copied.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot(Vec<Tensor>);

impl Snapshot {
    pub fn take(model: &Model) -> Self {
        let values = model.weights().iter().map(|weight| weight.value().clone());
        Snapshot(values.collect())
    }

    /// Adds the weights to what a callback remembers.
    pub fn into_state(&self, state: CallbackState) -> CallbackState {
        let weights = self.0.iter().enumerate();
        weights.fold(state, |state, (index, value)| {
            state.tensor(&index.to_string(), value.clone())
        })
    }

    /// The weights that [`into_state`](Self::into_state) added, if it did. Those that are the model's
    /// own share its memory again.
    pub fn from_state(state: &CallbackState, model: &Model) -> Result<Option<Self>> {
        if state.tensors().next().is_none() {
            return Ok(None);
        }
        let one = |(index, weight): (usize, &Weight)| {
            let now = weight.value();
            let kept = state.get_tensor(&index.to_string());
            match kept.filter(|kept| kept.shape() == now.shape()) {
                Some(kept) if bits(kept) == bits(now) => Ok(now.clone()),
                Some(kept) => Ok(kept.clone()),
                None => {
                    let expected = format!("{} of shape {:?}", weight.path(), now.shape());
                    let received = format!("{:?}", kept.map(Tensor::shape));
                    let at = "the weights that a callback remembered";
                    Err(Error::File(Detail::new(at, expected, received)))
                }
            }
        };
        let weights: Result<Vec<Tensor>> = model.weights().iter().enumerate().map(one).collect();
        Ok(Some(Snapshot(weights?)))
    }

    /// Puts back the weights that have changed since.
    pub fn restore(&self, model: &mut Model) {
        let changed: Vec<(usize, &Tensor)> = self
            .0
            .iter()
            .zip(model.weights().iter())
            .enumerate()
            .filter(|(_, (then, now))| {
                let (then, now) = (*then, now.value());
                // Weights that share memory, as frozen ones do, need no comparison.
                !std::ptr::eq(then.as_slice(), now.as_slice()) && bits(then) != bits(now)
            })
            .map(|(index, (then, _))| (index, then))
            .collect();
        if changed.is_empty() {
            return;
        }
        let store = model.weights_mut();
        for (index, then) in changed {
            if let Some(value) = store.value_mut(VariableId(index)) {
                *value = then.clone();
            }
        }
    }
}

fn bits(value: &Tensor) -> Vec<u32> {
    let values = value.as_slice().iter();
    values.map(|value| value.to_bits()).collect()
}

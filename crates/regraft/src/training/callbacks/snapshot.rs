//! The weights of a model as they were at some moment.

use regraft_autograd::VariableId;
use regraft_layers::{Model as Network, Weight};
use regraft_tensor::{Detail, Tensor};

use super::CallbackState;
use crate::{Error, Result};

/// All weights. Taking them copies nothing: a tensor shares its memory until the next step writes to
/// it, so frozen weights are never copied.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot(Vec<(VariableId, Tensor)>);

impl Snapshot {
    pub fn take(model: &Network) -> Self {
        let values = model.weights().iter();
        Snapshot(
            values
                .map(|weight| (weight.id(), weight.value().clone()))
                .collect(),
        )
    }

    /// Adds the weights to what a callback remembers.
    pub fn added_to(&self, state: CallbackState) -> CallbackState {
        let weights = self.0.iter().enumerate();
        weights.fold(state, |state, (index, (_, value))| {
            state.tensor(&index.to_string(), value.clone())
        })
    }

    /// The weights that [`added_to`](Self::added_to) added, if it did. Those that are the model's
    /// own share its memory again.
    pub fn from_state(state: &CallbackState, model: &Network) -> Result<Option<Self>> {
        if state.tensors().next().is_none() {
            return Ok(None);
        }
        let one = |(index, weight): (usize, &Weight)| {
            let now = weight.value();
            let kept = state.get_tensor(&index.to_string());
            match kept.filter(|kept| kept.shape() == now.shape()) {
                Some(kept) if bits(kept) == bits(now) => Ok((weight.id(), now.clone())),
                Some(kept) => Ok((weight.id(), kept.clone())),
                None => {
                    let expected = format!("{} of shape {:?}", weight.path(), now.shape());
                    let received = format!("{:?}", kept.map(Tensor::shape));
                    let at = "the weights that a callback remembered";
                    Err(Error::File(Detail::new(at, expected, received)))
                }
            }
        };
        let weights = model.weights().iter().enumerate().map(one);
        Ok(Some(Snapshot(weights.collect::<Result<_>>()?)))
    }

    /// The weights that are others in `later`, of the same model: as they were, and as they are then.
    pub fn moved_to(&self, later: &Snapshot) -> Vec<(VariableId, Tensor, Tensor)> {
        let pairs = self.0.iter().zip(&later.0);
        let moved = pairs.filter(|((_, then), (_, now))| {
            !std::ptr::eq(then.as_slice(), now.as_slice()) && bits(then) != bits(now)
        });
        let moved = moved.map(|((id, then), (_, now))| (*id, then.clone(), now.clone()));
        moved.collect()
    }

    /// Puts back the weights that have changed since, of those that the model still has.
    pub fn restore(&self, model: &mut Network) -> Result<()> {
        let changed = self.0.iter().filter(|(id, then)| {
            // Weights that share memory, as frozen ones do, need no comparison.
            model.weights().get(*id).is_some_and(|weight| {
                let now = weight.value();
                !std::ptr::eq(then.as_slice(), now.as_slice()) && bits(then) != bits(now)
            })
        });
        let changed: Vec<(VariableId, Tensor)> = changed.cloned().collect();
        if !changed.is_empty() {
            model.set_weights(changed)?;
        }
        Ok(())
    }
}

fn bits(value: &Tensor) -> Vec<u32> {
    let values = value.as_slice().iter();
    values.map(|value| value.to_bits()).collect()
}

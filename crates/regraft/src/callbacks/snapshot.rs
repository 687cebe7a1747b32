//! The weights of a model as they were at some moment.

use regraft_autograd::VariableId;
use regraft_layers::Model;
use regraft_tensor::Tensor;

/// All weights. Taking them copies nothing: a tensor shares its memory until the next step writes to
/// it, so frozen weights are never copied.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot(Vec<Tensor>);

impl Snapshot {
    pub fn take(model: &Model) -> Self {
        let values = model.weights().iter().map(|weight| weight.value().clone());
        Snapshot(values.collect())
    }

    /// Puts back the weights that have changed since.
    pub fn restore(&self, model: &mut Model) {
        let bits = |value: &Tensor| -> Vec<u32> {
            value
                .as_slice()
                .iter()
                .map(|value| value.to_bits())
                .collect()
        };
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

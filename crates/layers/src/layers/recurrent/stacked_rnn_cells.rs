//! Cells on top of each other as one cell.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;

use super::walk::{over, states_of};
use crate::contract::layer::LayerKind;
use crate::{Call, Class, Configured, Layer, LayerSpec, OverTime, Sequence, Weights};

/// Cells on top of each other as one cell, for an [`RNN`](super::RNN): each takes the output of the one before it.
///
/// ```
/// use regraft_layers::layers::{GRUCell, LSTMCell, RNN, StackedRNNCells};
/// use regraft_layers::{Input, LayerSpec, Sequential, layers};
///
/// let cells = StackedRNNCells::new(layers![LSTMCell::new(8), GRUCell::new(4)]);
/// let model = Sequential::new(layers![Input::new([7, 3]), RNN::new(cells)])?;
/// assert_eq!(model.output_shape()?.to_string(), "(None, 4)");
/// assert!(model.weight("rnn/stacked_rnn_cells/gru_cell/bias").is_some());
/// # Ok::<(), regraft_layers::Error>(())
/// ```
///
/// Input `(batch, …)` and the states of all cells in order; output that of the last cell, and all states. Weights are those
/// of the cells under their names; what is frozen is what is in it.
///
/// Keras: <https://keras.io/api/layers/recurrent_layers/stacked_rnn_cell/>.
#[derive(Clone, Debug)]
pub struct StackedRNNCells {
    cells: Vec<LayerSpec>,
}

impl StackedRNNCells {
    /// These cells, the first one first.
    pub fn new(cells: impl IntoIterator<Item = LayerSpec>) -> Self {
        StackedRNNCells {
            cells: cells.into_iter().collect(),
        }
    }

    fn leaves(&self) -> impl Iterator<Item = &dyn Layer> {
        self.cells.iter().filter_map(|cell| match &cell.kind {
            LayerKind::Leaf(layer) => Some(&**layer),
            LayerKind::Nested(_) => None,
        })
    }

    /// For each cell its step and its states' sizes.
    fn plan(&self, step: &Shape) -> Vec<(Shape, Vec<Vec<usize>>)> {
        let mut step = step.clone();
        let mut plan = Vec::new();
        for cell in self.leaves() {
            let sizes = cell.state_sizes(&step);
            // What a cell gives is as its first state.
            let output = sizes.first().into_iter().flatten().copied().map(Dim::Fixed);
            let next = step.dims()[..1].iter().copied().chain(output).collect();
            plan.push((std::mem::replace(&mut step, next), sizes));
        }
        plan
    }
}

impl Configured for StackedRNNCells {
    fn class(&self) -> Class<'_> {
        Class::new("keras.layers.StackedRNNCells")
    }
}

impl Layer for StackedRNNCells {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let Some(step) = inputs.first() else {
            return Err(Detail::new("", "one step of a sequence", "no input"));
        };
        let plan = self.plan(step);
        let all = plan.len() == self.cells.len() && !plan.is_empty();
        match all && plan.iter().all(|(_, sizes)| !sizes.is_empty()) {
            true => Ok(()),
            false => {
                let received = self.leaves().map(|cell| cell.class_name());
                let received = received.collect::<Vec<_>>().join(", ");
                let expected = "cells: layers that say the sizes of their states";
                let detail = Detail::new("cells", expected, format!("[{received}]"));
                Err(detail.help("implement `Layer::state_sizes`"))
            }
        }
    }

    fn wrapped(&self) -> Vec<(&'static str, LayerSpec)> {
        let cells = self.cells.iter();
        cells.map(|cell| ("cells", cell.clone())).collect()
    }

    fn wrapped_inputs(&self, index: usize, inputs: &[Shape]) -> Vec<Shape> {
        let plan = inputs.first().map(|step| self.plan(step));
        let step = plan.and_then(|plan| Some(plan.get(index)?.0.clone()));
        step.into_iter().collect()
    }

    fn state_sizes(&self, step: &Shape) -> Vec<Vec<usize>> {
        let plan = self.plan(step).into_iter();
        plan.flat_map(|(_, sizes)| sizes).collect()
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.call_all(call, inputs)[0]
    }

    fn call_all<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Var<'g>> {
        let mut states = states_of(self, inputs).into_iter();
        let plan = self.plan(&inputs[0].shape());
        let (mut x, mut after) = (inputs[0], Vec::new());
        for (index, (_, sizes)) in plan.iter().enumerate() {
            let inputs: Vec<Var<'g>> = [x]
                .into_iter()
                .chain(states.by_ref().take(sizes.len()))
                .collect();
            let mut results = call.wrapped_all(index, &inputs, &[]).into_iter();
            x = results.next().unwrap_or(x);
            after.extend(results);
        }
        [x].into_iter().chain(after).collect()
    }

    fn over_time<'g>(&self, call: &Call<'g, '_>, sequence: &Sequence<'g>) -> Option<OverTime<'g>> {
        // A step that is left out keeps the states of all, so that each can go over all steps by itself.
        let step = super::walk::step_of(&[sequence.x.shape()]).swap_remove(0);
        let plan = self.plan(&step);
        let mut initial = sequence.initial.clone().map(Vec::into_iter);
        let (mut x, mut states) = (sequence.x, Vec::new());
        for (index, (cell, (_, sizes))) in self.leaves().zip(&plan).enumerate() {
            let own = Sequence {
                x,
                initial: initial.as_mut().map(|it| it.take(sizes.len()).collect()),
                all_outputs: sequence.all_outputs || index + 1 < plan.len(),
                ..sequence.clone()
            };
            let found = call.in_wrapped(index, |call| over(call, cell, &own))?;
            x = found.output;
            states.extend(found.states);
        }
        Some(OverTime { output: x, states })
    }
}

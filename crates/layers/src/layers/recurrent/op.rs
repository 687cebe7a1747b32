//! A sequence through one op.

use regraft_autograd::ops::{Cell, Keep, Recurrence};
use regraft_autograd::{Tensor, Var};

use super::walk::steps;
use crate::{Activation, OverTime, Sequence};

/// Whether an activation is Keras' function of this name, for which there are kernels.
pub(super) fn is(activation: &Option<Activation>, class: &str) -> bool {
    let function = activation.as_ref().and_then(|it| it.get().ok());
    function.is_some_and(|it| {
        let found = it.class();
        found.name == class && found.module == "keras.activations"
    })
}

/// `activation(x)`, or `x` without one.
pub(super) fn apply<'g>(activation: &Option<Activation>, x: Var<'g>) -> Var<'g> {
    match activation {
        Some(activation) => activation.apply(x),
        None => x,
    }
}

/// The cell's states over the steps, from the input's part of each, `[batch, steps, parts · units]`.
pub(super) fn recurrence<'g>(
    cell: Cell,
    x: Var<'g>,
    kernel: Var<'g>,
    bias: Option<Var<'g>>,
    sequence: &Sequence<'g>,
) -> OverTime<'g> {
    let graph = x.graph();
    let keep = match (sequence.all_outputs, sequence.states) {
        (false, _) => Keep::Last,
        (true, true) => Keep::States,
        (true, false) => Keep::Outputs,
    };
    let initial = sequence.initial.as_ref().map(|states| match states[..] {
        [state] => state,
        _ => graph.concatenate(states, 1),
    });
    let op = Recurrence {
        cell,
        keep,
        bias: bias.is_some(),
        initial: initial.is_some(),
        masked: sequence.mask.is_some(),
    };
    let mut operands = vec![x, kernel];
    operands.extend([bias, initial, sequence.mask].into_iter().flatten());
    let found = graph.apply(op, &operands);
    if graph.check().is_err() {
        let states = vec![x; cell.states()];
        return OverTime { output: x, states };
    }
    let units = kernel.shape().len(1) / kernel.shape().dims()[1].size(1).max(1);
    let last_axis = found.shape().rank() - 1;
    let part = |of: Var<'g>, index: usize| match cell.kept(keep) {
        1 => of,
        _ => of.slice(of.shape().rank() - 1, index * units..(index + 1) * units),
    };
    let after = match last_axis {
        1 => found,
        _ => {
            let steps = steps(&found.shape());
            found.slice(1, steps - 1..steps).squeeze(1)
        }
    };
    let states: Vec<Var<'g>> = match sequence.states {
        true => (0..cell.states()).map(|index| part(after, index)).collect(),
        false => Vec::new(),
    };
    let output = part(found, 0);
    let output = match (sequence.mask, initial) {
        // Until a step counts there is no output, whatever the state is.
        (Some(mask), Some(_)) => begun(mask, sequence.all_outputs).select(output, 0.0),
        _ => output,
    };
    OverTime { output, states }
}

/// 1 from the first step on that counts, or where any does, with an axis for the units.
fn begun(mask: Var<'_>, all: bool) -> Var<'_> {
    if !all {
        return mask.max(&[1]).expand_dims(1);
    }
    let steps = steps(&mask.shape());
    let until = (0..steps * steps).map(|at| f32::from(u8::from(at / steps <= at % steps)));
    let mut until_now = Tensor::zeros([steps, steps]);
    until_now
        .as_mut_slice()
        .iter_mut()
        .zip(until)
        .for_each(|(to, it)| *to = it);
    let counted = mask.matmul(mask.graph().constant(until_now));
    counted.greater(0.0).expand_dims(2)
}

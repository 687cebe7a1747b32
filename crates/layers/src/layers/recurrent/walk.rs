//! What a recurrent layer does around its cell: order, masks, and which outputs there are.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;

use crate::settings::require;
use crate::{Call, Layer, OverTime, Sequence};

/// The settings that every recurrent layer has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    pub return_sequences: bool,
    pub return_state: bool,
    pub go_backwards: bool,
    pub stateful: bool,
    pub zero_output_for_mask: bool,
}

/// One step of the first input, `(batch, …)` of `(batch, steps, …)`.
pub(crate) fn step_of(inputs: &[Shape]) -> Vec<Shape> {
    let first = inputs.first().map(|input| {
        let mut dims = input.dims().to_vec();
        if dims.len() > 1 {
            dims.remove(1);
        }
        Shape::from_iter(dims)
    });
    first.into_iter().collect()
}

/// The number of steps of a sequence.
pub(crate) fn steps(x: &Shape) -> usize {
    x.dims().get(1).and_then(|dim| dim.fixed()).unwrap_or(0)
}

/// A sequence in the opposite order.
pub(crate) fn reversed(x: Var<'_>) -> Var<'_> {
    let order: Vec<usize> = (0..steps(&x.shape())).rev().collect();
    x.pick(1, order)
}

/// `x` where the mask says 1, else 0; the mask has the first axes of `x`.
fn counting<'g>(mask: Var<'g>, x: Var<'g>) -> Var<'g> {
    let mut mask = mask;
    for axis in mask.shape().rank()..x.shape().rank() {
        mask = mask.expand_dims(axis);
    }
    mask.select(x, 0.0)
}

impl Walk {
    /// What is wrong with the inputs, a sequence and possibly initial states.
    pub fn check(&self, cell: &dyn Layer, inputs: &[Shape]) -> Result<(), Detail> {
        let Some(sequence) = inputs.first() else {
            return Err(Detail::new("", "a sequence", "no input"));
        };
        if self.stateful {
            let detail = Detail::new("stateful", "it to be off (not supported)", true);
            return Err(detail.help(
                "give the states as further inputs, and take them as outputs with `return_state`",
            ));
        }
        let fits = sequence.is_batch_first() && sequence.rank() >= 3 && steps(sequence) > 0;
        let expected = "an input (batch, steps, …) of at least 1 step";
        require(fits, "", expected, sequence)?;
        let step = step_of(inputs).swap_remove(0);
        let sizes = cell.state_sizes(&step);
        if sizes.is_empty() {
            let expected = "a cell: a layer that says the sizes of its states";
            let detail = Detail::new("cell", expected, cell.class_name());
            return Err(detail.help("implement `Layer::state_sizes`"));
        }
        let given = &inputs[1..];
        if !given.is_empty() && given.len() != sizes.len() {
            let expected = format!("{} initial states, or none", sizes.len());
            return Err(Detail::new("initial_state", expected, given.len()));
        }
        for (given, sizes) in given.iter().zip(&sizes) {
            let expected = of_batch(sequence, sizes);
            if *given != expected {
                return Err(Detail::new("initial_state", expected, given));
            }
        }
        Ok(())
    }

    /// The output and, if they are asked for, the states. The cell is what the layer contains first.
    pub fn call<'g>(
        &self,
        call: &Call<'g, '_>,
        cell: &dyn Layer,
        inputs: &[Var<'g>],
    ) -> Vec<Var<'g>> {
        let ordered = |it: Var<'g>| match self.go_backwards {
            true => reversed(it),
            false => it,
        };
        let mask = call.mask_with_states(inputs.len()).map(ordered);
        let sequence = Sequence {
            x: ordered(inputs[0]),
            initial: (inputs.len() > 1).then(|| inputs[1..].to_vec()),
            mask,
            all_outputs: self.return_sequences,
            states: self.return_state,
        };
        let found = call.in_wrapped(0, |call| over(call, cell, &sequence));
        let Some(mut found) = found else {
            return vec![inputs[0]];
        };
        if let (Some(mask), true) = (mask, self.zero_output_for_mask) {
            let steps = steps(&sequence.x.shape());
            let mask = match self.return_sequences {
                true => mask,
                false => mask.slice(1, steps - 1..steps).squeeze(1),
            };
            found.output = counting(mask, found.output);
        }
        let mut results = vec![found.output];
        if self.return_state {
            results.extend(found.states);
        }
        results
    }
}

/// The shape of a value with these sizes for each sample of a sequence.
fn of_batch(sequence: &Shape, sizes: &[usize]) -> Shape {
    let sizes = sizes.iter().copied().map(Dim::Fixed);
    sequence.dims()[..1].iter().copied().chain(sizes).collect()
}

/// A cell over a sequence: all at once if it can do that, else step by step.
pub(crate) fn over<'g>(
    call: &Call<'g, '_>,
    cell: &dyn Layer,
    sequence: &Sequence<'g>,
) -> OverTime<'g> {
    let at_once = cell.over_time(call, sequence);
    at_once.unwrap_or_else(|| {
        step_by_step(call, cell, sequence, |values, states| {
            let inputs: Vec<Var<'g>> = values.iter().chain(states).copied().collect();
            let mut results = cell.call_all(call, &inputs);
            let output = results.remove(0);
            (output, results)
        })
    })
}

/// `step` over a sequence, from the initial states of `cell`.
pub(crate) fn step_by_step<'g>(
    call: &Call<'g, '_>,
    cell: &dyn Layer,
    sequence: &Sequence<'g>,
    mut step: impl FnMut(&[Var<'g>], &[Var<'g>]) -> (Var<'g>, Vec<Var<'g>>),
) -> OverTime<'g> {
    let graph = call.graph();
    let shape = sequence.x.shape();
    let initial = sequence.initial.clone().unwrap_or_else(|| {
        let step = step_of(std::slice::from_ref(&shape)).swap_remove(0);
        let sizes = cell.state_sizes(&step);
        let zeros = |sizes: &Vec<usize>| graph.full(of_batch(&shape, sizes), 0.0);
        sizes.iter().map(zeros).collect()
    });
    let states = initial.len();
    let scanned = graph.scan(&[sequence.x], initial, sequence.mask, |values, before| {
        let (output, after) = step(values, before);
        if after.len() != states {
            let at = format!("{}::call_all", cell.class_name());
            let expected = format!("an output and {states} states");
            let detail = Detail::new(at, expected, format!("{} results", after.len() + 1));
            graph.fail(regraft_autograd::Error::Shape(detail));
            return (output, before.to_vec());
        }
        (output, after)
    });
    let output = match sequence.all_outputs {
        true => scanned.sequence(),
        false => scanned.outputs.last().copied(),
    };
    OverTime {
        output: output.unwrap_or(sequence.x),
        states: scanned.states,
    }
}

/// The states that a cell is called with behind its input; zeros for those that are not given.
pub(crate) fn states_of<'g>(cell: &dyn Layer, inputs: &[Var<'g>]) -> Vec<Var<'g>> {
    let shape = inputs[0].shape();
    let sizes = cell.state_sizes(&shape);
    let given = inputs[1..].iter().copied().map(Some);
    let given = given.chain(std::iter::repeat(None));
    let zeros = |sizes: &Vec<usize>| inputs[0].graph().full(of_batch(&shape, sizes), 0.0);
    let state =
        |(sizes, given): (&Vec<usize>, Option<Var<'g>>)| given.unwrap_or_else(|| zeros(sizes));
    sizes.iter().zip(given).map(state).collect()
}

/// What is wrong with the inputs of a cell: one step, and possibly its states.
pub(crate) fn check_cell(cell: &dyn Layer, inputs: &[Shape]) -> Result<usize, Detail> {
    let features = match inputs.first().map(Shape::dims) {
        Some(&[_, Dim::Fixed(features)]) => features,
        _ => {
            let received = inputs.first().map(Shape::to_string).unwrap_or_default();
            return Err(Detail::new("", "an input (batch, features)", received));
        }
    };
    let sizes = cell.state_sizes(&inputs[0]);
    if inputs.len() > 1 && inputs.len() != sizes.len() + 1 {
        let expected = format!("one step and {} states", sizes.len());
        return Err(Detail::new(
            "",
            expected,
            format!("{} inputs", inputs.len()),
        ));
    }
    for (given, sizes) in inputs[1..].iter().zip(&sizes) {
        let expected = of_batch(&inputs[0], sizes);
        if *given != expected {
            return Err(Detail::new("states", expected, given));
        }
    }
    Ok(features)
}

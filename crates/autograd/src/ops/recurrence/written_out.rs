//! A recurrence written out step by step with other ops: what its second derivative is made of.

use regraft_tensor::kernels::recurrence::{Cell, Keep};

use super::{Recurrence, Sizes};
use crate::{Dim, Shape, Var};

/// The first state before each step, from those after each.
pub(super) fn before<'g>(
    op: &Recurrence,
    operands: &[Var<'g>],
    outputs: Var<'g>,
    sizes: Sizes,
) -> Var<'g> {
    let [h, _] = initial(op, operands, sizes);
    let first = h.expand_dims(1);
    match sizes.steps {
        1 => first,
        steps => {
            let rest = outputs.slice(1, 0..steps - 1);
            first.graph().concatenate(&[first, rest], 1)
        }
    }
}

/// The states before the first step; of a cell of one state it stands twice.
fn initial<'g>(op: &Recurrence, operands: &[Var<'g>], sizes: Sizes) -> [Var<'g>; 2] {
    let units = sizes.units;
    let [_, place, _] = op.places();
    match place.map(|place| operands[place]) {
        Some(initial) => {
            let last = (op.cell.states() - 1) * units;
            [
                initial.slice(1, 0..units),
                initial.slice(1, last..last + units),
            ]
        }
        None => {
            let shape = Shape::from([sizes.batch, Dim::Fixed(units)]);
            let zeros = operands[0].graph().full(shape, 0.0);
            [zeros, zeros]
        }
    }
}

impl Recurrence {
    /// The op's result, of operands that fit.
    pub(super) fn written_out<'g>(&self, operands: &[Var<'g>]) -> Var<'g> {
        let (x, kernel) = (operands[0], operands[1]);
        let graph = x.graph();
        let shapes: Vec<Shape> = operands.iter().map(|it| it.shape()).collect();
        let Ok(sizes) = self.sizes(&shapes.iter().collect::<Vec<_>>()) else {
            return x;
        };
        let [bias, _, mask] = self
            .places()
            .map(|place| place.map(|place| operands[place]));
        let states = initial(self, operands, sizes)[..self.cell.states()].to_vec();
        let mut rows: Vec<Var<'g>> = Vec::with_capacity(sizes.steps);
        let mut works: Vec<Vec<Var<'g>>> = Vec::with_capacity(sizes.steps);
        let mut step = |x: &[Var<'g>], states: &[Var<'g>]| {
            let (work, states) = one_step(self.cell, sizes.units, x[0], kernel, bias, states);
            works.push(work);
            (states[0], states)
        };
        // As the states after each step are wanted, they go through the mask one by one.
        let mut states = states;
        for at in 0..sizes.steps {
            let x = x.slice(1, at..at + 1);
            let mask = mask.map(|mask| mask.slice(1, at..at + 1));
            states = graph.scan(&[x], states, mask, &mut step).states;
            rows.push(match states[..] {
                [h] => h,
                _ if self.keep == Keep::Outputs => states[0],
                _ => graph.concatenate(&states, 1),
            });
        }
        if self.keep == Keep::Last {
            return rows[sizes.steps - 1];
        }
        if self.keep == Keep::Trace {
            for (row, work) in rows.iter_mut().zip(works) {
                let parts: Vec<Var<'g>> = std::iter::once(*row).chain(work).collect();
                *row = graph.concatenate(&parts, 1);
            }
        }
        let rows: Vec<Var<'g>> = rows.into_iter().map(|row| row.expand_dims(1)).collect();
        graph.concatenate(&rows, 1)
    }
}

/// What a step leaves in the trace behind the states, and the states after it.
fn one_step<'g>(
    cell: Cell,
    units: usize,
    x: Var<'g>,
    kernel: Var<'g>,
    bias: Option<Var<'g>>,
    states: &[Var<'g>],
) -> (Vec<Var<'g>>, Vec<Var<'g>>) {
    let part = |it: Var<'g>, index: usize| it.slice(1, index * units..(index + 1) * units);
    let h = states[0];
    if let Cell::Gru { reset_after: false } = cell {
        let gates = (x.slice(1, 0..2 * units) + h.matmul(kernel.slice(1, 0..2 * units))).sigmoid();
        let (z, r) = (part(gates, 0), part(gates, 1));
        let candidate = (part(x, 2) + (r * h).matmul(part(kernel, 2))).tanh();
        let after = z * h + (z * -1.0 + 1.0) * candidate;
        return (vec![z, r, candidate], vec![after]);
    }
    let mut product = h.matmul(kernel);
    if let Some(bias) = bias {
        product = product + bias;
    }
    match cell {
        Cell::Lstm => {
            let all = x + product;
            let [i, f, o] = [0, 1, 3].map(|index| part(all, index).sigmoid());
            let g = part(all, 2).tanh();
            let c = f * states[1] + i * g;
            (vec![i, f, g, o], vec![o * c.tanh(), c])
        }
        Cell::Gru { .. } => {
            let [z, r] = [0, 1].map(|index| (part(x, index) + part(product, index)).sigmoid());
            let recurrent = part(product, 2);
            let candidate = (part(x, 2) + r * recurrent).tanh();
            let after = z * h + (z * -1.0 + 1.0) * candidate;
            (vec![z, r, candidate, recurrent], vec![after])
        }
        Cell::Tanh => (Vec::new(), vec![(x + product).tanh()]),
        Cell::Relu => (Vec::new(), vec![(x + product).relu()]),
    }
}

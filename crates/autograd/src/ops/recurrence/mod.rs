//! Recurrences over time: an LSTM, a GRU or a plain recurrence over all steps of a sequence is one op, and its gradient
//! another. [`scan`](crate::Graph::scan) writes any other out step by step.

mod gradient;
mod scan;
mod written_out;

pub use gradient::RecurrenceGradient;
pub use regraft_tensor::kernels::recurrence::{Cell, Keep};
pub use scan::Scanned;

use regraft_tensor::Detail;
use regraft_tensor::kernels::recurrence as kernels;

use crate::{Attributes, Dim, Forward, Gradient, Op, Output, Shape, Var};
use written_out::before;

/// The states of a [cell](Cell) over all steps, from the input's part of each: `(x, kernel, …) → …`, where `x` is
/// `[batch, steps, parts · units]`, a product for all steps with its bias, and `kernel`, `[units, parts · units]`, is what
/// the state before a step is multiplied with. Behind these come, each if it is there: the recurrent `bias`, the `initial`
/// states `[batch, states · units]`, and the `mask` `[batch, steps]`, 0 where a step is left out.
///
/// The result is what `keep` says: the states after the last step, or those after each, `[batch, steps, …]`. A step that
/// is left out keeps them bit by bit.
///
/// The gradient of the kernel and the bias are products of what [`RecurrenceGradient`] finds. The second derivative is
/// that of the formula written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recurrence {
    /// What a step computes.
    pub cell: Cell,
    /// What is kept of the steps.
    pub keep: Keep,
    /// Whether there is a recurrent bias: of a GRU with the reset gate after the product.
    pub bias: bool,
    /// Whether there are initial states; they are zeros otherwise.
    pub initial: bool,
    /// Whether there is a mask.
    pub masked: bool,
}

/// What a cell is called.
fn name(cell: Cell) -> &'static str {
    match cell {
        Cell::Lstm => "lstm",
        Cell::Gru { reset_after: true } => "gru_reset_after",
        Cell::Gru { reset_after: false } => "gru_reset_before",
        Cell::Tanh => "tanh",
        Cell::Relu => "relu",
    }
}

/// The sizes of a recurrence: the batch, the steps, the units.
#[derive(Clone, Copy)]
struct Sizes {
    batch: Dim,
    steps: usize,
    units: usize,
}

impl Recurrence {
    fn settings(&self) -> Attributes {
        let Recurrence {
            cell,
            keep,
            bias,
            initial,
            masked,
        } = *self;
        let keep = match keep {
            Keep::Last => "last",
            Keep::Outputs => "outputs",
            Keep::States => "states",
            Keep::Trace => "trace",
        };
        Attributes::none()
            .with("cell", name(cell))
            .with("keep", keep)
            .with("bias", bias)
            .with("initial", initial)
            .with("masked", masked)
    }

    /// How many operands there are.
    fn count(&self) -> usize {
        2 + [self.bias, self.initial, self.masked]
            .iter()
            .filter(|it| **it)
            .count()
    }

    /// Where the bias, the initial states and the mask are among the operands.
    fn places(&self) -> [Option<usize>; 3] {
        let mut next = 2;
        [self.bias, self.initial, self.masked].map(|there| {
            there.then(|| {
                next += 1;
                next - 1
            })
        })
    }

    /// The sizes, of operands that fit.
    fn sizes(&self, operands: &[&Shape]) -> Result<Sizes, Detail> {
        let count = self.count();
        if operands.len() != count {
            return Err(Detail::new("", format!("{count} operands"), operands.len()));
        }
        let parts = self.cell.parts();
        let (&[units, width], &[batch, Dim::Fixed(steps), of_x]) =
            (operands[1].dims(), operands[0].dims())
        else {
            let expected = "x [batch, steps, parts · units] and a kernel [units, parts · units]";
            let received = format!("{} and {}", operands[0], operands[1]);
            return Err(Detail::new("", expected, received));
        };
        let units = units.fixed().unwrap_or(0);
        if units == 0 || width != Dim::Fixed(parts * units) || of_x != width {
            let expected = format!("x and a kernel with {parts} · units columns");
            let received = format!("{} and {}", operands[0], operands[1]);
            return Err(Detail::new("", expected, received));
        }
        if steps == 0 {
            return Err(Detail::new("", "at least 1 step", operands[0]));
        }
        let expected = [
            Shape::from([parts * units]),
            Shape::from([batch, Dim::Fixed(self.cell.states() * units)]),
            Shape::from([batch, Dim::Fixed(steps)]),
        ];
        let names = ["a recurrent bias", "initial states", "a mask"];
        for ((place, expected), name) in self.places().into_iter().zip(expected).zip(names) {
            if let Some(place) = place
                && *operands[place] != expected
            {
                return Err(Detail::new(
                    "",
                    format!("{name} {expected}"),
                    operands[place],
                ));
            }
        }
        if self.bias && !matches!(self.cell, Cell::Gru { reset_after: true }) {
            let expected = "a recurrent bias for a GRU with the reset gate after the product alone";
            return Err(Detail::new("", expected, name(self.cell)));
        }
        Ok(Sizes {
            batch,
            steps,
            units,
        })
    }

    /// The kernel of these operands.
    fn kernel<'a>(&self, operands: &Forward<'a>) -> kernels::Recurrence<'a> {
        let at = |place: Option<usize>| place.map(|place| operands.f32(place));
        let [bias, initial, mask] = self.places().map(at);
        kernels::Recurrence {
            cell: self.cell,
            steps: operands.shape(0)[1],
            units: operands.shape(1)[0],
            kernel: operands.f32(1),
            bias,
            initial,
            mask,
        }
    }

    fn read_again(&self, operands: &[&Shape]) -> usize {
        let steps = self.sizes(operands).map_or(1, |sizes| sizes.steps);
        (steps - 1) * operands[1].len(1)
    }

    fn multiply_adds(&self, operands: &[&[usize]]) -> u64 {
        let (x, units) = (operands[0], operands[1][0]);
        (x.iter().product::<usize>() * units) as u64
    }
}

impl Op for Recurrence {
    fn name(&self) -> &str {
        "recurrence"
    }

    fn attributes(&self) -> Option<Attributes> {
        Some(self.settings())
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let Sizes {
            batch,
            steps,
            units,
        } = self.sizes(operands)?;
        let kept = Dim::Fixed(self.cell.kept(self.keep) * units);
        Ok(match self.keep {
            Keep::Last => Shape::from([batch, kept]),
            _ => Shape::from([batch, Dim::Fixed(steps), kept]),
        })
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let kernel = self.kernel(&operands);
        kernel.forward(operands.f32(0), self.keep, output.f32());
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let shapes: Vec<Shape> = at.operands().iter().map(|it| it.shape()).collect();
        let Ok(sizes) = self.sizes(&shapes.iter().collect::<Vec<_>>()) else {
            return at.none();
        };
        if self.keep == Keep::Trace {
            // Asked for by second derivatives alone.
            return at.through(|operands| self.written_out(operands));
        }
        let graph = at.cotangent().graph();
        let whole = Recurrence {
            keep: Keep::Trace,
            ..*self
        };
        let trace = graph.apply(whole, at.operands());
        let mut operands = at.operands().to_vec();
        operands.extend([trace, at.cotangent()]);
        let d = graph.apply(RecurrenceGradient(*self), &operands);
        let Sizes { steps, units, .. } = sizes;
        let dx = match self.initial {
            true => d.slice(1, 0..steps),
            false => d,
        };
        let [bias, initial, mask] = self.places();
        let mut gradients = at.none();
        gradients[0] = at.when(0, || dx);
        let products = Products::of(self, at.operands(), trace, dx, sizes);
        gradients[1] = at.when(1, || products.kernel());
        if let Some(bias) = bias {
            gradients[bias] = at.when(bias, || products.recurrent().sum(&[0, 1]));
        }
        if let Some(initial) = initial {
            gradients[initial] = at.when(initial, || {
                let row = d.slice(1, steps..steps + 1).squeeze(1);
                row.slice(1, 0..self.cell.states() * units)
            });
        }
        debug_assert!(mask.is_none_or(|mask| gradients[mask].is_none()));
        gradients
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn elements_read_again(&self, operands: &[&Shape]) -> usize {
        self.read_again(operands)
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        2 * self.multiply_adds(operands)
    }
}

/// The gradients of what the state is multiplied with, as products over all steps.
struct Products<'g> {
    cell: Cell,
    units: usize,
    /// The states before each step, and the reset gates of a GRU.
    before: Var<'g>,
    reset: Option<Var<'g>>,
    dx: Var<'g>,
}

impl<'g> Products<'g> {
    fn of(
        op: &Recurrence,
        operands: &[Var<'g>],
        trace: Var<'g>,
        dx: Var<'g>,
        sizes: Sizes,
    ) -> Self {
        let units = sizes.units;
        let outputs = trace.slice(2, 0..units);
        let reset = matches!(op.cell, Cell::Gru { .. });
        Products {
            cell: op.cell,
            units,
            before: before(op, operands, outputs, sizes),
            reset: reset.then(|| trace.slice(2, 2 * units..3 * units)),
            dx,
        }
    }

    fn graph(&self) -> &'g crate::Graph {
        self.dx.graph()
    }

    /// The gradient of the product of the state and the kernel.
    fn recurrent(&self) -> Var<'g> {
        match (self.cell, self.reset) {
            (Cell::Gru { reset_after: true }, Some(reset)) => {
                let (gates, candidate) = self.parts();
                self.graph().concatenate(&[gates, candidate * reset], 2)
            }
            _ => self.dx,
        }
    }

    /// Of the gates and of the candidate of a GRU.
    fn parts(&self) -> (Var<'g>, Var<'g>) {
        let gates = 2 * self.units;
        let all = gates + self.units;
        (self.dx.slice(2, 0..gates), self.dx.slice(2, gates..all))
    }

    fn kernel(&self) -> Var<'g> {
        let product = |a, d| self.graph().apply(super::MatMulWeightGradient, &[a, d]);
        match (self.cell, self.reset) {
            (Cell::Gru { reset_after: false }, Some(reset)) => {
                let (gates, candidate) = self.parts();
                let parts = [
                    product(self.before, gates),
                    product(self.before * reset, candidate),
                ];
                self.graph().concatenate(&parts, 1)
            }
            _ => product(self.before, self.recurrent()),
        }
    }
}

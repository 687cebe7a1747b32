//! Recurrences over time: what a step adds to the input's part, which is a product for all steps that the caller has
//! made, and the gradient of all that.
//!
//! A sample's states go from step to step, so steps follow each other; samples do not meet. The batch is therefore
//! divided into blocks of samples, and a thread takes a block through all steps: its states and the packed recurrent
//! kernel stay in the cache. Each element of a step's product is one chain, as in any [product](super::matmul), and
//! all else is elementwise, so a sample has the same bits in any batch and on any number of threads.
//!
//! A step that the mask leaves out keeps the states bit by bit, and costs nothing where it is left out of all samples of
//! a block.

mod backward;
mod cells;
mod forward;
#[cfg(test)]
mod tests;

use super::alone::on_one_thread;
use super::matmul::{Matrix, PackedMatrix};
use super::parallel;

/// What is computed in a step. With `x` the input's part, `h` the state, and `U` the recurrent kernel, `[units,
/// parts · units]`, of which `Uᵢ` is a part:
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// Parts `i f g o`: `c = σ(x_f + h U_f) · c + σ(x_i + h U_i) · tanh(x_g + h U_g)`, `h = σ(x_o + h U_o) · tanh(c)`.
    Lstm,
    /// Parts `z r h`: `h = z h + (1 − z) tanh(x_h + …)` with gates `σ(x + h U)`, and in the place of the dots
    /// `r (h U_h)` with the reset gate after the product, `(r h) U_h` with it before.
    Gru {
        /// Whether the reset gate comes after the product. A recurrent bias goes with it alone.
        reset_after: bool,
    },
    /// `h = tanh(x + h U)`.
    Tanh,
    /// `h = max(x + h U, 0)`.
    Relu,
}

/// What is kept of a sample's steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keep {
    /// The states after the last step: `states · units`.
    Last,
    /// The first state after each step: `steps · units`.
    Outputs,
    /// The states after each step: `steps · states · units`.
    States,
    /// The states after each step, and behind them what the gradient reads: `steps · trace · units`.
    Trace,
}

impl Cell {
    /// How many times the units the input's part is.
    pub fn parts(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru { .. } => 3,
            Cell::Tanh | Cell::Relu => 1,
        }
    }

    /// How many states there are: `h` and, of an LSTM, `c`.
    pub fn states(self) -> usize {
        match self {
            Cell::Lstm => 2,
            _ => 1,
        }
    }

    /// How many times the units a step's row of the trace is: the states; of an LSTM the gates `i f g o`; of a GRU `z`,
    /// `r`, the candidate and, with the reset gate after the product, `h U_h`.
    pub fn trace(self) -> usize {
        self.states() + self.work()
    }

    /// What stands behind the states in the trace.
    fn work(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru { reset_after } => 3 + usize::from(reset_after),
            Cell::Tanh | Cell::Relu => 0,
        }
    }

    /// How many times the units a step's row of what is kept is; of [`Keep::Last`], a sample's.
    pub fn kept(self, keep: Keep) -> usize {
        match keep {
            Keep::Outputs => 1,
            Keep::Last | Keep::States => self.states(),
            Keep::Trace => self.trace(),
        }
    }
}

/// A recurrence over all samples and steps of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Recurrence<'a> {
    /// What a step computes.
    pub cell: Cell,
    /// The number of steps.
    pub steps: usize,
    /// The size of a state.
    pub units: usize,
    /// `U`, `[units, parts · units]`.
    pub kernel: &'a [f32],
    /// What is added to `h U`, of a GRU with the reset gate after the product.
    pub bias: Option<&'a [f32]>,
    /// The states before the first step, `[batch, states · units]`; zeros if there are none.
    pub initial: Option<&'a [f32]>,
    /// `[batch, steps]`: 0 where a step is left out.
    pub mask: Option<&'a [f32]>,
}

/// Samples that a thread takes through all steps at most: enough for products to reuse the kernel, few enough for
/// their rows to stay in the second-level cache.
const BLOCK: usize = 64;

/// The recurrent kernel as products read it.
enum Kernels {
    One(PackedMatrix),
    /// That of the gates and that of the candidate, with the reset gate before the product.
    Two(PackedMatrix, PackedMatrix),
}

impl Recurrence<'_> {
    /// The kernel, or its transpose, packed.
    fn packed(&self, transposed: bool) -> Kernels {
        let width = self.cell.parts() * self.units;
        let columns = |from: usize, to: usize| {
            let matrix = Matrix {
                data: &self.kernel[from.min(self.kernel.len())..],
                rows: self.units,
                columns: to - from,
                row_stride: width,
                column_stride: 1,
            };
            PackedMatrix::new(match transposed {
                true => matrix.transposed(),
                false => matrix,
            })
        };
        match self.cell {
            Cell::Gru { reset_after: false } => {
                let gates = 2 * self.units;
                Kernels::Two(columns(0, gates), columns(gates, width))
            }
            _ => Kernels::One(columns(0, width)),
        }
    }

    /// Calls `work` with the first sample and the number of samples of each block, on several threads if it is worth it.
    fn blocks(&self, batch: usize, work: impl Fn(usize, usize) + Sync + Send) {
        let per_step = self.kernel.len() * batch;
        let threads = parallel::threads(per_step.saturating_mul(self.steps));
        // Blocks of about one size.
        let count = batch.div_ceil(BLOCK).max(threads);
        let size = batch.div_ceil(count).max(1);
        parallel::each(batch.div_ceil(size), 1, threads, |block| {
            let first = block * size;
            on_one_thread(|| work(first, size.min(batch - first)));
        });
    }

    /// Whether a step of a sample counts.
    fn counts(&self, sample: usize, step: usize) -> bool {
        self.mask
            .is_none_or(|mask| mask[sample * self.steps + step] != 0.0)
    }

    fn check(&self, batch: usize) {
        let Recurrence { cell, units, .. } = *self;
        let width = cell.parts() * units;
        assert_eq!(self.kernel.len(), units * width, "recurrence: the kernel");
        let fits = |it: Option<&[f32]>, length: usize| it.is_none_or(|it| it.len() == length);
        assert!(fits(self.bias, width), "recurrence: the bias");
        let states = batch * cell.states() * units;
        assert!(fits(self.initial, states), "recurrence: initial states");
        assert!(fits(self.mask, batch * self.steps), "recurrence: the mask");
    }
}

//! A recurrence step by step.

use super::cells;
use super::{Cell, Keep, Kernels, Recurrence};
use crate::kernels::matmul::{Epilogue, Matrix, PackedMatrix, Right, matmul_fused};
use crate::kernels::parallel::SharedMut;

impl Recurrence<'_> {
    /// What `keep` says of the recurrence over `x`, the input's part `[batch, steps, parts · units]`.
    ///
    /// # Panics
    /// If lengths do not fit.
    pub fn forward(&self, x: &[f32], keep: Keep, out: &mut [f32]) {
        let row = self.cell.parts() * self.units;
        let kept = self.cell.kept(keep) * self.units;
        let of_sample = match keep {
            Keep::Last => kept,
            _ => self.steps * kept,
        };
        if of_sample == 0 {
            return;
        }
        let batch = out.len() / of_sample;
        assert_eq!(out.len(), batch * of_sample, "recurrence: the result");
        assert_eq!(x.len(), batch * self.steps * row, "recurrence: the input");
        self.check(batch);
        let kernels = self.packed(false);
        let out = SharedMut::new(out);
        self.blocks(batch, |first, samples| {
            let x = &x[first * self.steps * row..][..samples * self.steps * row];
            let range = first * of_sample..(first + samples) * of_sample;
            // SAFETY: blocks of samples do not overlap, and end where `out` does.
            let out = unsafe { out.slice(range) };
            self.forward_block(&kernels, x, first, keep, out);
        });
    }

    fn forward_block(
        &self,
        kernels: &Kernels,
        x: &[f32],
        first: usize,
        keep: Keep,
        out: &mut [f32],
    ) {
        let Recurrence {
            cell, steps, units, ..
        } = *self;
        let row = cell.parts() * units;
        let samples = x.len() / (steps * row).max(1);
        let mut block = Block {
            h: vec![0.0; samples * units],
            c: vec![0.0; samples * units * (cell.states() - 1)],
            work: vec![0.0; samples * units * cell.work()],
            product: vec![0.0; samples * row],
            reset: match cell {
                Cell::Gru { reset_after: false } => vec![0.0; samples * units],
                _ => Vec::new(),
            },
        };
        if let Some(initial) = self.initial {
            let states = cell.states() * units;
            let initial = initial[first * states..].chunks_exact(states);
            for (sample, initial) in initial.take(samples).enumerate() {
                let range = sample * units..(sample + 1) * units;
                block.h[range.clone()].copy_from_slice(&initial[..units]);
                if cell.states() > 1 {
                    block.c[range].copy_from_slice(&initial[units..]);
                }
            }
        }
        let kept = cell.kept(keep) * units;
        for step in 0..steps {
            let x = |sample: usize| &x[(sample * steps + step) * row..][..row];
            let counts = |sample: usize| self.counts(first + sample, step);
            self.step(kernels, &mut block, x, counts);
            if keep != Keep::Last {
                for (sample, out) in out.chunks_exact_mut(steps * kept).enumerate() {
                    block.write(cell, units, sample, &mut out[step * kept..][..kept]);
                }
            }
        }
        if keep == Keep::Last {
            for (sample, out) in out.chunks_exact_mut(kept).enumerate() {
                block.write(cell, units, sample, out);
            }
        }
    }

    /// One step of the samples of a block.
    fn step<'x>(
        &self,
        kernels: &Kernels,
        block: &mut Block,
        x: impl Fn(usize) -> &'x [f32],
        counts: impl Fn(usize) -> bool,
    ) {
        let units = self.units;
        let samples = block.h.len() / units;
        let counting = || (0..samples).filter(|&sample| counts(sample));
        if counting().next().is_none() {
            return;
        }
        match (self.cell, kernels) {
            (Cell::Lstm, Kernels::One(kernel)) => {
                product(&block.h, samples, kernel, None, &mut block.product);
                for sample in counting() {
                    let range = sample * units..(sample + 1) * units;
                    cells::lstm(
                        x(sample),
                        &block.product[sample * 4 * units..][..4 * units],
                        &mut block.work[sample * 4 * units..][..4 * units],
                        &mut block.c[range.clone()],
                        &mut block.h[range],
                    );
                }
            }
            (Cell::Gru { .. }, Kernels::One(kernel)) => {
                product(&block.h, samples, kernel, self.bias, &mut block.product);
                for sample in counting() {
                    cells::gru_after(
                        x(sample),
                        &block.product[sample * 3 * units..][..3 * units],
                        &mut block.work[sample * 4 * units..][..4 * units],
                        &mut block.h[sample * units..][..units],
                    );
                }
            }
            (Cell::Gru { .. }, Kernels::Two(gates, candidate)) => {
                let (of_gates, of_candidate) = block.product.split_at_mut(samples * 2 * units);
                product(&block.h, samples, gates, None, of_gates);
                for sample in counting() {
                    cells::gru_gates(
                        &x(sample)[..2 * units],
                        &of_gates[sample * 2 * units..][..2 * units],
                        &block.h[sample * units..][..units],
                        &mut block.work[sample * 3 * units..][..2 * units],
                        &mut block.reset[sample * units..][..units],
                    );
                }
                product(&block.reset, samples, candidate, None, of_candidate);
                for sample in counting() {
                    cells::gru_candidate(
                        &x(sample)[2 * units..],
                        &of_candidate[sample * units..][..units],
                        &mut block.work[sample * 3 * units..][..3 * units],
                        &mut block.h[sample * units..][..units],
                    );
                }
            }
            (cell, Kernels::One(kernel) | Kernels::Two(kernel, _)) => {
                product(&block.h, samples, kernel, None, &mut block.product);
                for sample in counting() {
                    let product = &block.product[sample * units..][..units];
                    let h = &mut block.h[sample * units..][..units];
                    match cell {
                        Cell::Relu => cells::relu(x(sample), product, h),
                        _ => cells::tanh(x(sample), product, h),
                    }
                }
            }
        }
    }
}

/// What a block of samples has between two steps.
struct Block {
    /// `[samples, units]`, as the next one.
    h: Vec<f32>,
    c: Vec<f32>,
    /// What a step leaves for the gradient.
    work: Vec<f32>,
    /// The state's part of a step.
    product: Vec<f32>,
    /// The state behind the reset gate, if that comes before the product.
    reset: Vec<f32>,
}

impl Block {
    /// A row of what is kept of a sample: as much as there is room for.
    fn write(&self, cell: Cell, units: usize, sample: usize, out: &mut [f32]) {
        let parts = [
            (&self.h, 1),
            (&self.c, cell.states() - 1),
            (&self.work, cell.work()),
        ];
        let mut at = 0;
        for (values, width) in parts {
            let width = width * units;
            if at < out.len() {
                out[at..at + width].copy_from_slice(&values[sample * width..][..width]);
            }
            at += width;
        }
    }
}

/// `a · kernel (+ bias)` for rows that lie one behind the other.
fn product(a: &[f32], rows: usize, kernel: &PackedMatrix, bias: Option<&[f32]>, out: &mut [f32]) {
    let epilogue = Epilogue {
        bias,
        ..Epilogue::default()
    };
    let a = Matrix::new(a, rows, kernel.rows());
    matmul_fused(a, Right::Packed(kernel), out, &epilogue);
}

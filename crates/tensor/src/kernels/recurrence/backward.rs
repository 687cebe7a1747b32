//! The gradient of a recurrence: from the last step back to the first.

use super::cells;
use super::{Cell, Keep, Kernels, Recurrence};
use crate::kernels::matmul::{Epilogue, Matrix, PackedMatrix, Right, matmul_fused};
use crate::kernels::parallel::SharedMut;

impl Recurrence<'_> {
    /// From `d`, the gradient of what `of` says is kept (not the trace), that of the input's part: `[batch, steps,
    /// parts · units]`. `trace` is [what was kept](Keep::Trace). If there are initial states, `out` has one step more,
    /// whose row begins with the gradient of these.
    ///
    /// # Panics
    /// If lengths do not fit.
    pub fn gradient(&self, trace: &[f32], d: &[f32], of: Keep, out: &mut [f32]) {
        let row = self.cell.parts() * self.units;
        let rows = self.steps + usize::from(self.initial.is_some());
        let traced = self.steps * self.cell.trace() * self.units;
        let given = self.cell.kept(of) * self.units;
        let given = match of {
            Keep::Last => given,
            _ => self.steps * given,
        };
        if rows * row == 0 {
            return;
        }
        let batch = out.len() / (rows * row);
        assert_eq!(out.len(), batch * rows * row, "recurrence: the result");
        assert_eq!(trace.len(), batch * traced, "recurrence: the trace");
        assert_eq!(d.len(), batch * given, "recurrence: the gradient");
        self.check(batch);
        let kernels = self.packed(true);
        let out = SharedMut::new(out);
        self.blocks(batch, |first, samples| {
            let range = first * rows * row..(first + samples) * rows * row;
            // SAFETY: blocks of samples do not overlap, and end where `out` does.
            let out = unsafe { out.slice(range) };
            let trace = &trace[first * traced..][..samples * traced];
            let d = &d[first * given..][..samples * given];
            self.gradient_block(&kernels, trace, d, of, first, out);
        });
    }

    fn gradient_block(
        &self,
        kernels: &Kernels,
        trace: &[f32],
        d: &[f32],
        of: Keep,
        first: usize,
        out: &mut [f32],
    ) {
        let Recurrence {
            cell, steps, units, ..
        } = *self;
        let row = cell.parts() * units;
        let rows = steps + usize::from(self.initial.is_some());
        let samples = out.len() / (rows * row);
        let (given, states) = (cell.kept(of) * units, cell.states() * units);
        let mut block = Back {
            dh: vec![0.0; samples * units],
            dc: vec![0.0; samples * (states - units)],
            through: vec![0.0; samples * units],
            drecurrent: match cell {
                Cell::Gru { .. } => vec![0.0; samples * row],
                _ => Vec::new(),
            },
        };
        for step in (0..steps).rev() {
            for sample in 0..samples {
                let d = match of {
                    Keep::Last if step + 1 == steps => &d[sample * given..][..given],
                    Keep::Last => &[][..],
                    _ => &d[(sample * steps + step) * given..][..given],
                };
                let (of_h, of_c) = d.split_at(d.len().min(units));
                let range = sample * units..(sample + 1) * units;
                add(&mut block.dh[range.clone()], of_h);
                if cell.states() > 1 {
                    add(&mut block.dc[range], of_c);
                }
            }
            self.back(kernels, &mut block, trace, first, step, out);
        }
        if rows > steps {
            for (sample, out) in out.chunks_exact_mut(rows * row).enumerate() {
                let range = sample * units..(sample + 1) * units;
                let out = &mut out[steps * row..];
                out.fill(0.0);
                out[..units].copy_from_slice(&block.dh[range.clone()]);
                if cell.states() > 1 {
                    out[units..states].copy_from_slice(&block.dc[range]);
                }
            }
        }
    }

    /// One step back for the samples of a block.
    fn back(
        &self,
        kernels: &Kernels,
        block: &mut Back,
        trace: &[f32],
        first: usize,
        step: usize,
        out: &mut [f32],
    ) {
        let Recurrence {
            cell, steps, units, ..
        } = *self;
        let row = cell.parts() * units;
        let of_sample = (steps + usize::from(self.initial.is_some())) * row;
        let samples = out.len() / of_sample;
        let (width, states) = (cell.trace() * units, cell.states() * units);
        let traced = |sample: usize| &trace[(sample * steps + step) * width..][..width];
        let zeros = vec![0.0; if step == 0 { units } else { 0 }];
        // State `index` before the step.
        let before = |sample: usize, index: usize| match (step, self.initial) {
            (0, None) => &zeros[..],
            (0, Some(initial)) => &initial[(first + sample) * states + index * units..][..units],
            _ => &trace[(sample * steps + step - 1) * width + index * units..][..units],
        };
        let counting = || (0..samples).filter(|&it| self.counts(first + it, step));
        for sample in 0..samples {
            let range = sample * units..(sample + 1) * units;
            let dx = &mut out[sample * of_sample + step * row..][..row];
            let dh = &mut block.dh[range.clone()];
            let counts = self.counts(first + sample, step);
            if !counts {
                dx.fill(0.0);
            }
            let traced = traced(sample);
            let work = &traced[states..];
            match cell {
                Cell::Gru { reset_after: true } => {
                    let drecurrent = &mut block.drecurrent[sample * row..][..row];
                    match counts {
                        false => drecurrent.fill(0.0),
                        true => {
                            let before = before(sample, 0);
                            cells::gru_after_gradient(work, before, dh, dx, drecurrent);
                        }
                    }
                }
                _ if !counts => {}
                Cell::Gru { .. } => {
                    cells::gru_candidate_gradient(work, before(sample, 0), dh, dx);
                }
                Cell::Lstm => {
                    let (c, dc) = (&traced[units..states], &mut block.dc[range]);
                    cells::lstm_gradient(work, c, before(sample, 1), dh, dc, dx);
                    dh.fill(0.0);
                }
                Cell::Tanh => {
                    cells::tanh_gradient(&traced[..units], dh, dx);
                    dh.fill(0.0);
                }
                Cell::Relu => {
                    cells::relu_gradient(&traced[..units], dh, dx);
                    dh.fill(0.0);
                }
            }
        }
        if counting().next().is_none() {
            return;
        }
        match kernels {
            Kernels::One(kernel) if !block.drecurrent.is_empty() => {
                let d = Matrix::new(&block.drecurrent, samples, row);
                product(d, kernel, &mut block.through);
            }
            Kernels::One(kernel) => {
                product(
                    part_of(out, samples, of_sample, step * row, row),
                    kernel,
                    &mut block.through,
                );
            }
            Kernels::Two(gates, candidate) => {
                let at = step * row;
                let d = part_of(out, samples, of_sample, at + 2 * units, units);
                product(d, candidate, &mut block.through);
                for sample in counting() {
                    let range = sample * units..(sample + 1) * units;
                    let r = &traced(sample)[states + units..][..units];
                    let dr = &mut out[sample * of_sample + at + units..][..units];
                    let dh = &mut block.dh[range.clone()];
                    let dreset = &block.through[range];
                    cells::gru_reset_gradient(r, before(sample, 0), dreset, dh, dr);
                }
                let d = part_of(out, samples, of_sample, at, 2 * units);
                product(d, gates, &mut block.through);
            }
        }
        // Of others it is the product of zeros, which would turn the sign of a zero, so that bits would depend on who else
        // is in the batch.
        for sample in counting() {
            let range = sample * units..(sample + 1) * units;
            add(&mut block.dh[range.clone()], &block.through[range]);
        }
    }
}

/// What goes back from step to step for a block of samples.
struct Back {
    /// The gradients of the states, `[samples, units]`.
    dh: Vec<f32>,
    dc: Vec<f32>,
    /// What comes back through a product.
    through: Vec<f32>,
    /// The gradient of a step's product, of a GRU.
    drecurrent: Vec<f32>,
}

fn add(to: &mut [f32], values: &[f32]) {
    to.iter_mut()
        .zip(values)
        .for_each(|(to, value)| *to += value);
}

/// Columns of the samples' rows of a step.
fn part_of(out: &[f32], samples: usize, of_sample: usize, at: usize, columns: usize) -> Matrix<'_> {
    Matrix {
        data: &out[at..],
        rows: samples,
        columns,
        row_stride: of_sample,
        column_stride: 1,
    }
}

fn product(d: Matrix<'_>, kernel: &PackedMatrix, out: &mut [f32]) {
    matmul_fused(d, Right::Packed(kernel), out, &Epilogue::default());
}

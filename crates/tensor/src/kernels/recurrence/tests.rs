//! The promises that a gradient check does not see: bits in any batch, on any number of threads, behind a mask.

use super::{Cell, Keep, Recurrence};
use crate::kernels::on_one_thread;
use crate::kernels::random::{self, Key};

const CELLS: [Cell; 5] = [
    Cell::Lstm,
    Cell::Gru { reset_after: true },
    Cell::Gru { reset_after: false },
    Cell::Tanh,
    Cell::Relu,
];

fn numbers(stream: u64, length: usize) -> Vec<f32> {
    let mut numbers = vec![0.0; length];
    random::uniform(Key::new(3, stream), 0, &mut numbers);
    numbers.iter_mut().for_each(|u| *u = *u * 2.0 - 1.0);
    numbers
}

/// Input, kernel, initial states, mask, gradient of the outputs.
struct Numbers {
    x: Vec<f32>,
    kernel: Vec<f32>,
    initial: Vec<f32>,
    mask: Vec<f32>,
    d: Vec<f32>,
}

fn drawn(cell: Cell, batch: usize, steps: usize, units: usize) -> Numbers {
    let row = cell.parts() * units;
    let mask = numbers(4, batch * steps).into_iter();
    Numbers {
        x: numbers(1, batch * steps * row),
        kernel: numbers(2, units * row),
        initial: numbers(3, batch * cell.states() * units),
        mask: mask.map(|it| f32::from(u8::from(it > -0.4))).collect(),
        d: numbers(5, batch * steps * units),
    }
}

/// The trace and the gradient of samples `from` to `to`.
fn run(cell: Cell, all: &Numbers, sizes: [usize; 2], from: usize, to: usize) -> [Vec<f32>; 2] {
    let [steps, units] = sizes;
    let row = cell.parts() * units;
    let of = |values: &[f32], width: usize| values[from * width..to * width].to_vec();
    let (initial, mask) = (
        of(&all.initial, cell.states() * units),
        of(&all.mask, steps),
    );
    let recurrence = Recurrence {
        cell,
        steps,
        units,
        kernel: &all.kernel,
        bias: None,
        initial: Some(&initial),
        mask: Some(&mask),
    };
    let batch = to - from;
    let mut trace = vec![f32::NAN; batch * steps * cell.trace() * units];
    recurrence.forward(&of(&all.x, steps * row), Keep::Trace, &mut trace);
    let mut gradient = vec![f32::NAN; batch * (steps + 1) * row];
    let d = of(&all.d, steps * units);
    recurrence.gradient(&trace, &d, Keep::Outputs, &mut gradient);
    [trace, gradient]
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|it| it.to_bits()).collect()
}

#[test]
fn a_sample_has_the_same_bits_in_any_batch_and_on_any_number_of_threads() {
    let (batch, steps, units) = (71, 9, 37);
    for cell in CELLS {
        let all = drawn(cell, batch, steps, units);
        let whole = run(cell, &all, [steps, units], 0, batch);
        assert!(whole.iter().flatten().all(|it| it.is_finite()), "{cell:?}");
        let alone = on_one_thread(|| run(cell, &all, [steps, units], 0, batch));
        assert_eq!(whole, alone, "{cell:?}");
        for (from, to) in [(0, 1), (5, 6), (3, 20), (70, 71)] {
            let part = run(cell, &all, [steps, units], from, to);
            for (whole, part) in whole.iter().zip(part) {
                let width = whole.len() / batch;
                let of_whole = &whole[from * width..to * width];
                assert_eq!(bits(&part), bits(of_whole), "{cell:?} {from}..{to}");
            }
        }
    }
}

#[test]
fn a_step_that_is_left_out_keeps_the_states_bit_by_bit() {
    let (batch, steps, units) = (4, 7, 5);
    for cell in CELLS {
        let all = drawn(cell, batch, steps, units);
        let [trace, gradient] = run(cell, &all, [steps, units], 0, batch);
        let (width, row) = (cell.trace() * units, cell.parts() * units);
        let states = cell.states() * units;
        for sample in 0..batch {
            for step in (0..steps).filter(|step| all.mask[sample * steps + step] == 0.0) {
                let at = |step: usize| &trace[(sample * steps + step) * width..][..states];
                let before = match step {
                    0 => &all.initial[sample * states..][..states],
                    _ => at(step - 1),
                };
                assert_eq!(at(step), before, "{cell:?}");
                let dx = &gradient[(sample * (steps + 1) + step) * row..][..row];
                assert!(dx.iter().all(|it| *it == 0.0), "{cell:?}");
            }
        }
    }
}

#[test]
fn what_is_kept_is_a_part_of_the_trace() {
    let (batch, steps, units) = (3, 4, 6);
    for cell in CELLS {
        let all = drawn(cell, batch, steps, units);
        let recurrence = Recurrence {
            cell,
            steps,
            units,
            kernel: &all.kernel,
            bias: None,
            initial: None,
            mask: None,
        };
        let kept = |keep: Keep, rows: usize| {
            let mut out = vec![f32::NAN; rows * cell.kept(keep) * units];
            recurrence.forward(&all.x, keep, &mut out);
            out
        };
        let trace = kept(Keep::Trace, batch * steps);
        let width = cell.trace() * units;
        let begin = |columns: usize| -> Vec<f32> {
            let rows = trace.chunks_exact(width);
            rows.flat_map(|row| row[..columns].to_vec()).collect()
        };
        let states = cell.states() * units;
        assert_eq!(kept(Keep::Outputs, batch * steps), begin(units));
        assert_eq!(kept(Keep::States, batch * steps), begin(states));
        let last = begin(states);
        let last = last.chunks_exact(steps * states);
        let last: Vec<f32> = last
            .flat_map(|it| it[(steps - 1) * states..].to_vec())
            .collect();
        assert_eq!(kept(Keep::Last, batch), last);
    }
}

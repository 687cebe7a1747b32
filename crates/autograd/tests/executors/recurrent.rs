//! Recurrences from their formulas, in 64 bits, sample by sample and step by step; gradients by differences.

use crate::interpreter::{Array, Settings};

/// The operands of a recurrence.
#[derive(Clone)]
struct Operands<'a> {
    cell: &'a str,
    x: &'a Array,
    kernel: &'a Array,
    bias: Option<&'a Array>,
    initial: Option<Vec<f64>>,
    mask: Option<&'a Array>,
}

pub fn recurrent(
    name: &str,
    settings: &Settings,
    operands: &[Array],
    shape: &[usize],
) -> Option<Array> {
    if !matches!(name, "recurrence" | "recurrence_gradient") {
        return None;
    }
    let mut rest = operands[2..].iter();
    let mut next = |flag: &str| settings.flag(flag).then(|| rest.next().unwrap());
    let (bias, initial, mask) = (next("bias"), next("initial"), next("masked"));
    let all = Operands {
        cell: settings.text("cell").unwrap(),
        x: &operands[0],
        kernel: &operands[1],
        bias,
        initial: initial.map(|it| it.data.clone()),
        mask,
    };
    let keep = settings.text("keep").unwrap();
    if name == "recurrence" {
        let data = all.run(keep);
        return Some(Array {
            shape: shape.to_vec(),
            data,
        });
    }
    let d = &operands.last().unwrap().data;
    let (x, initial) = (all.x.data.clone(), all.initial.clone());
    // How the result, weighed with `d`, changes when the input or the initial states do.
    let difference = |of_x: bool, place: usize| {
        const STEP: f64 = 1e-5;
        let moved = |by: f64| {
            let (mut x, mut initial) = (x.clone(), initial.clone());
            match of_x {
                true => x[place] += by,
                false => initial.as_mut().unwrap()[place] += by,
            }
            let x = Array {
                shape: all.x.shape.clone(),
                data: x,
            };
            let y = Operands {
                x: &x,
                initial,
                ..all.clone()
            }
            .run(keep);
            y.iter().zip(d).map(|(y, d)| y * d).sum::<f64>()
        };
        (moved(STEP) - moved(-STEP)) / (2.0 * STEP)
    };
    let (batch, steps, row) = (all.x.shape[0], all.x.shape[1], all.x.shape[2]);
    let (rows, states) = (shape[1], all.states() * all.kernel.shape[0]);
    let mut data = vec![0.0; batch * rows * row];
    for sample in 0..batch {
        let own = &mut data[sample * rows * row..][..rows * row];
        let (of_x, of_initial) = own.split_at_mut(steps * row);
        for (at, own) in of_x.iter_mut().enumerate() {
            *own = difference(true, sample * steps * row + at);
        }
        for (at, own) in of_initial.iter_mut().take(states).enumerate() {
            *own = difference(false, sample * states + at);
        }
    }
    Some(Array {
        shape: shape.to_vec(),
        data,
    })
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Operands<'_> {
    fn states(&self) -> usize {
        if self.cell == "lstm" { 2 } else { 1 }
    }

    fn run(&self, keep: &str) -> Vec<f64> {
        let (batch, steps, row) = (self.x.shape[0], self.x.shape[1], self.x.shape[2]);
        let units = self.kernel.shape[0];
        let states = self.states() * units;
        let work = match self.cell {
            "lstm" | "gru_reset_after" => 4,
            "gru_reset_before" => 3,
            _ => 0,
        };
        let mut kept = Vec::new();
        for sample in 0..batch {
            let mut state = match &self.initial {
                Some(initial) => initial[sample * states..(sample + 1) * states].to_vec(),
                None => vec![0.0; states],
            };
            let mut left = vec![0.0; work * units];
            for step in 0..steps {
                if self
                    .mask
                    .is_none_or(|mask| mask.data[sample * steps + step] != 0.0)
                {
                    let x = &self.x.data[(sample * steps + step) * row..][..row];
                    left = self.step(x, units, &mut state);
                }
                match keep {
                    "outputs" => kept.extend(&state[..units]),
                    "states" => kept.extend(&state),
                    "trace" => kept.extend(state.iter().chain(&left)),
                    _ if step + 1 == steps => kept.extend(&state),
                    _ => {}
                }
            }
        }
        kept
    }

    /// One step of a sample; what it leaves behind the states in the trace.
    fn step(&self, x: &[f64], units: usize, state: &mut [f64]) -> Vec<f64> {
        let h = state[..units].to_vec();
        let product = |h: &[f64], column: usize| -> f64 {
            let sum: f64 = (0..units)
                .map(|k| h[k] * self.kernel.at(&[k, column]))
                .sum();
            sum + self.bias.map_or(0.0, |bias| bias.data[column])
        };
        let sum = |part: usize, unit: usize| {
            let column = part * units + unit;
            x[column] + product(&h, column)
        };
        let each = |of: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..units).map(of).collect() };
        match self.cell {
            "lstm" => {
                let [i, f, o] = [0, 1, 3].map(|part| each(&|unit| sigmoid(sum(part, unit))));
                let g = each(&|unit| sum(2, unit).tanh());
                for unit in 0..units {
                    let c = f[unit] * state[units + unit] + i[unit] * g[unit];
                    (state[unit], state[units + unit]) = (o[unit] * c.tanh(), c);
                }
                [i, f, g, o].concat()
            }
            "gru_reset_after" | "gru_reset_before" => {
                let [z, r] = [0, 1].map(|part| each(&|unit| sigmoid(sum(part, unit))));
                let after = self.cell == "gru_reset_after";
                let reset = each(&|unit| r[unit] * h[unit]);
                let recurrent = each(&|unit| match after {
                    true => product(&h, 2 * units + unit),
                    false => product(&reset, 2 * units + unit),
                });
                let candidate = each(&|unit| {
                    let by = if after { r[unit] } else { 1.0 };
                    (x[2 * units + unit] + by * recurrent[unit]).tanh()
                });
                for unit in 0..units {
                    state[unit] = z[unit] * h[unit] + (1.0 - z[unit]) * candidate[unit];
                }
                let last = if after { recurrent } else { Vec::new() };
                [z, r, candidate, last].concat()
            }
            cell => {
                let next = each(&|unit| match cell {
                    "relu" => sum(0, unit).max(0.0),
                    _ => sum(0, unit).tanh(),
                });
                state.copy_from_slice(&next);
                Vec::new()
            }
        }
    }
}

//! Images of other sizes, channels last: along each spatial axis, a cell of the result is a weighted
//! sum of a few cells of the input.

use super::isa::vectorised;
use super::parallel::parts;

/// How values between the cells are found. Cells are squares with their values in the middle
/// ("half-pixel centres"), and the weights are those of TensorFlow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResizeMethod {
    /// That of the nearest cell.
    Nearest,
    /// On a line between the two nearest cells.
    Bilinear,
    /// On a cubic through the four nearest cells (Keys, a = −1/2); those outside the image are left
    /// out, and the weights of the others sum to 1.
    Bicubic,
    /// The mean over the part of the image that the new cell covers.
    Area,
    /// All cells near it, weighted by a function of their distance, so that the weights sum to 1. With
    /// `antialias`, the function is stretched where the image becomes smaller, so that every cell of it
    /// counts.
    Sampled {
        /// The function of the distance.
        kernel: SamplingKernel,
        /// Whether it is stretched.
        antialias: bool,
    },
}

/// A weight as a function of the distance `d` in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SamplingKernel {
    /// `1 − d` up to 1.
    Triangle,
    /// Keys' cubic, a = −1/2, up to 2.
    KeysCubic,
    /// Mitchell and Netravali's cubic, B = C = 1/3, up to 2.
    MitchellCubic,
    /// `sinc(d) · sinc(d / 3)` up to 3.
    Lanczos3,
    /// `sinc(d) · sinc(d / 5)` up to 5.
    Lanczos5,
    /// `exp(−2 d²)` up to 1.5.
    Gaussian,
}

impl SamplingKernel {
    /// Where the function ends.
    fn radius(self) -> f32 {
        match self {
            SamplingKernel::Triangle => 1.0,
            SamplingKernel::KeysCubic | SamplingKernel::MitchellCubic => 2.0,
            SamplingKernel::Lanczos3 => 3.0,
            SamplingKernel::Lanczos5 => 5.0,
            SamplingKernel::Gaussian => 1.5,
        }
    }

    /// The weight at distance `d`, which is not negative.
    fn weight(self, d: f32) -> f32 {
        let radius = self.radius();
        if d > radius {
            return 0.0;
        }
        match self {
            SamplingKernel::Triangle => 1.0 - d,
            SamplingKernel::KeysCubic if d >= 1.0 => ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0,
            SamplingKernel::KeysCubic => ((1.5 * d - 2.5) * d) * d + 1.0,
            SamplingKernel::MitchellCubic if d >= 1.0 => {
                ((-7.0 / 18.0 * d + 2.0) * d - 10.0 / 3.0) * d + 16.0 / 9.0
            }
            SamplingKernel::MitchellCubic => ((7.0 / 6.0 * d - 2.0) * d) * d + 8.0 / 9.0,
            SamplingKernel::Lanczos3 | SamplingKernel::Lanczos5 if d <= 1e-3 => 1.0,
            SamplingKernel::Lanczos3 | SamplingKernel::Lanczos5 => {
                let angle = std::f32::consts::PI * d;
                radius * angle.sin() * (angle / radius).sin() / (angle * angle)
            }
            SamplingKernel::Gaussian if d >= radius => 0.0,
            SamplingKernel::Gaussian => (-2.0 * d * d).exp(),
        }
    }

    /// The cells around `middle` of `input` cells with their weights, for a function that is `stretch`
    /// times as wide.
    fn taps(self, middle: f32, input: usize, stretch: f32) -> Vec<(usize, f32)> {
        let (reach, last) = (self.radius() * stretch, (input - 1) as f32);
        let first = (middle - reach - 0.5).ceil().clamp(0.0, last) as usize;
        let end = (middle + reach - 0.5).floor().clamp(0.0, last) as usize;
        let weight = |cell: usize| self.weight((cell as f32 + 0.5 - middle).abs() / stretch);
        let taps: Vec<_> = (first..=end).map(|cell| (cell, weight(cell))).collect();
        let sum: f32 = taps.iter().map(|(_, weight)| weight).sum();
        taps.into_iter().map(|(cell, w)| (cell, w / sum)).collect()
    }
}

/// Which cells make which along one axis, and with what weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Taps {
    /// The number of cells that are read.
    input: usize,
    /// Where the entries of each cell of the result start, and where the last end.
    starts: Vec<usize>,
    /// A cell that is read and its weight.
    entries: Vec<(usize, f32)>,
}

/// Keys' cubic with a = −1/2 at distances `t + 1`, `t`, `1 − t` and `2 − t` from four cells.
fn cubic(t: f32) -> [f32; 4] {
    const A: f32 = -0.5;
    let near = |d: f32| ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0;
    let far = |d: f32| ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}

/// TensorFlow has the cubic at this many places between two cells.
const PLACES: f32 = 1024.0;

impl Taps {
    /// How `output` cells are made from `input` cells, which are at least one.
    pub fn new(input: usize, output: usize, method: ResizeMethod) -> Self {
        assert!(input > 0, "resize: an axis without cells");
        let scale = input as f32 / output as f32;
        let last = input - 1;
        let rows = (0..output).map(|cell| {
            let middle = (cell as f32 + 0.5) * scale;
            match method {
                ResizeMethod::Nearest => vec![((middle.floor() as usize).min(last), 1.0)],
                ResizeMethod::Bilinear => {
                    let place = middle - 0.5;
                    let below = place.floor();
                    let upper = (place.ceil().max(0.0) as usize).min(last);
                    let t = place - below;
                    vec![(below.max(0.0) as usize, 1.0 - t), (upper, t)]
                }
                ResizeMethod::Bicubic => {
                    let place = middle - 0.5;
                    let below = place.floor();
                    let t = ((place - below) * PLACES).round_ties_even() / PLACES;
                    let inside = |(step, weight): (usize, f32)| {
                        let cell = below as isize + step as isize - 1;
                        let cell = usize::try_from(cell).ok().filter(|&cell| cell <= last);
                        cell.map(|cell| (cell, weight))
                    };
                    let weights = cubic(t).into_iter().enumerate();
                    let inside: Vec<_> = weights.filter_map(inside).collect();
                    let sum: f32 = inside.iter().map(|(_, weight)| weight).sum();
                    inside.iter().map(|&(cell, w)| (cell, w / sum)).collect()
                }
                ResizeMethod::Area => {
                    let scale = input as f64 / output as f64;
                    let (from, to) = (cell as f64 * scale, (cell + 1) as f64 * scale);
                    let covered = |cell: usize| {
                        let (start, end) = (cell as f64, (cell + 1) as f64);
                        ((end.min(to) - start.max(from)) / scale) as f32
                    };
                    let cells = from.floor() as usize..to.ceil() as usize;
                    cells.map(|cell| (cell.min(last), covered(cell))).collect()
                }
                ResizeMethod::Sampled { kernel, antialias } => {
                    let stretch = if antialias { scale.max(1.0) } else { 1.0 };
                    kernel.taps(middle, input, stretch)
                }
            }
        });
        Taps::from_rows(input, rows)
    }

    /// From the entries of each cell of the result; those for the same cell are added.
    fn from_rows(input: usize, rows: impl Iterator<Item = Vec<(usize, f32)>>) -> Self {
        let (mut starts, mut entries) = (vec![0], Vec::new());
        for row in rows {
            let start = entries.len();
            for (cell, weight) in row {
                match entries[start..].iter_mut().find(|(seen, _)| *seen == cell) {
                    Some((_, sum)) => *sum += weight,
                    None => entries.push((cell, weight)),
                }
            }
            starts.push(entries.len());
        }
        Taps {
            input,
            starts,
            entries,
        }
    }

    /// The number of cells that are read.
    pub fn input(&self) -> usize {
        self.input
    }

    /// The number of cells that are made.
    pub fn output(&self) -> usize {
        self.starts.len() - 1
    }

    /// The entries of cell `cell` of the result.
    fn of(&self, cell: usize) -> &[(usize, f32)] {
        &self.entries[self.starts[cell]..self.starts[cell + 1]]
    }

    /// The gradient's taps: what is made becomes what is read.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let mut rows = vec![Vec::new(); self.input];
        for output in 0..self.output() {
            for &(cell, weight) in self.of(output) {
                rows[cell].push((output, weight));
            }
        }
        Taps::from_rows(self.output(), rows.into_iter())
    }

    /// Whether each cell stays as it is.
    fn is_identity(&self) -> bool {
        let same = |cell: usize| self.of(cell) == [(cell, 1.0)];
        self.input == self.output() && (0..self.input).all(same)
    }
}

vectorised! {
    fn weighted_sum[](x: &[f32], taps: &[(usize, f32)], y: &mut [f32]) {
        let length = y.len();
        let cell = |index: usize| &x[index * length..][..length];
        match *taps {
            [(a, 1.0)] => y.copy_from_slice(cell(a)),
            [(a, wa), (b, wb)] => {
                for ((y, &a), &b) in y.iter_mut().zip(cell(a)).zip(cell(b)) {
                    *y = a * wa + b * wb;
                }
            }
            [(a, wa), (b, wb), (c, wc), (d, wd)] => {
                let pairs = cell(a).iter().zip(cell(b));
                let others = cell(c).iter().zip(cell(d));
                for ((y, (&a, &b)), (&c, &d)) in y.iter_mut().zip(pairs).zip(others) {
                    *y = a * wa + b * wb + c * wc + d * wd;
                }
            }
            _ => {
                y.fill(0.0);
                for &(index, weight) in taps {
                    for (y, &x) in y.iter_mut().zip(cell(index)) {
                        *y += x * weight;
                    }
                }
            }
        }
    }
}

/// Makes the middle of `outer × input × inner` into `outer × output × inner`.
fn along(taps: &Taps, inner: usize, x: &[f32], y: &mut [f32]) {
    if y.is_empty() {
        return;
    }
    let (input, output) = (taps.input * inner, taps.output() * inner);
    let cost = taps.entries.len().div_ceil(taps.output().max(1)).max(1);
    parts(y, inner, cost, |start, part| {
        for (index, y) in part.chunks_exact_mut(inner).enumerate() {
            let start = start + index * inner;
            let (outer, cell) = (start / output, start % output / inner);
            weighted_sum(&x[outer * input..][..input], taps.of(cell), y);
        }
    });
}

/// Applies taps along the three spatial axes of `x`, `[samples, …, channels]`, to make `y`. With
/// the taps [transposed](Taps::transposed) it is the gradient.
///
/// # Panics
/// If a length does not fit.
pub fn resize(taps: &[Taps; 3], samples: usize, channels: usize, x: &[f32], y: &mut [f32]) {
    let cells = |sizes: [usize; 3]| samples * channels * sizes.iter().product::<usize>();
    let mut sizes = [0, 1, 2].map(|axis| taps[axis].input());
    assert_eq!(x.len(), cells(sizes), "resize: input");
    let output = [0, 1, 2].map(|axis| taps[axis].output());
    assert_eq!(y.len(), cells(output), "resize: output");
    // Axes that shrink come first, so that the others have less to do.
    let mut order: Vec<usize> = (0..3).filter(|&axis| !taps[axis].is_identity()).collect();
    order.sort_by(|&a, &b| {
        let growth = |axis: usize| output[axis] as f32 / taps[axis].input() as f32;
        growth(a).total_cmp(&growth(b))
    });
    let Some((&last, others)) = order.split_last() else {
        return y.copy_from_slice(x);
    };
    let mut between: Option<Vec<f32>> = None;
    for &axis in others {
        let inner = channels * sizes[axis + 1..].iter().product::<usize>();
        sizes[axis] = output[axis];
        let mut next = vec![0.0; cells(sizes)];
        along(
            &taps[axis],
            inner,
            between.as_deref().unwrap_or(x),
            &mut next,
        );
        between = Some(next);
    }
    let inner = channels * sizes[last + 1..].iter().product::<usize>();
    along(&taps[last], inner, between.as_deref().unwrap_or(x), y);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::random::{Key, normal};

    const fn sampled(kernel: SamplingKernel, antialias: bool) -> ResizeMethod {
        ResizeMethod::Sampled { kernel, antialias }
    }

    /// Those that leave a cell that stays as it is.
    const EXACT: [ResizeMethod; 8] = [
        ResizeMethod::Nearest,
        ResizeMethod::Bilinear,
        ResizeMethod::Bicubic,
        ResizeMethod::Area,
        sampled(SamplingKernel::Triangle, true),
        sampled(SamplingKernel::Triangle, false),
        sampled(SamplingKernel::KeysCubic, true),
        sampled(SamplingKernel::KeysCubic, false),
    ];

    const METHODS: [ResizeMethod; 16] = [
        EXACT[0],
        EXACT[1],
        EXACT[2],
        EXACT[3],
        EXACT[4],
        EXACT[5],
        EXACT[6],
        EXACT[7],
        sampled(SamplingKernel::MitchellCubic, true),
        sampled(SamplingKernel::MitchellCubic, false),
        sampled(SamplingKernel::Lanczos3, true),
        sampled(SamplingKernel::Lanczos3, false),
        sampled(SamplingKernel::Lanczos5, true),
        sampled(SamplingKernel::Lanczos5, false),
        sampled(SamplingKernel::Gaussian, true),
        sampled(SamplingKernel::Gaussian, false),
    ];

    fn draw(length: usize, stream: u64) -> Vec<f32> {
        let mut x = vec![0.0; length];
        normal(Key::new(7, stream), 0, &mut x);
        x
    }

    #[test]
    fn weights_sum_to_1_and_a_cell_that_stays_is_not_changed() {
        for method in METHODS {
            for (input, output) in [(1, 1), (1, 9), (9, 1), (5, 7), (7, 5), (4, 12), (33, 224)] {
                let taps = Taps::new(input, output, method);
                assert_eq!((taps.input(), taps.output()), (input, output));
                for cell in 0..output {
                    let sum: f32 = taps.of(cell).iter().map(|(_, weight)| weight).sum();
                    assert!((sum - 1.0).abs() < 1e-6);
                    assert!(taps.of(cell).iter().all(|&(from, _)| from < input));
                }
            }
        }
        for method in EXACT {
            let x = draw(2 * 3 * 4 * 5, 0);
            let mut y = vec![0.0; x.len()];
            let taps = [1, 3, 4].map(|size| Taps::new(size, size, method));
            resize(&taps, 2, 5, &x, &mut y);
            assert_eq!(x, y);
        }
    }

    #[test]
    fn nearest_with_whole_factors_repeats_cells() {
        for factor in [1, 2, 3, 5, 7, 11] {
            let taps = Taps::new(113, 113 * factor, ResizeMethod::Nearest);
            for cell in 0..taps.output() {
                assert_eq!(taps.of(cell), [(cell / factor, 1.0)]);
            }
        }
    }

    /// ⟨resize(x), y⟩ = ⟨x, transposed resize(y)⟩, and both are what the taps say.
    #[test]
    fn the_gradient_is_the_transpose() {
        let (samples, input, output, channels) = (2, [2, 6, 3], [3, 4, 7], 3);
        for method in METHODS {
            let taps = [0, 1, 2].map(|axis| Taps::new(input[axis], output[axis], method));
            let cells = |sizes: [usize; 3]| samples * channels * sizes.iter().product::<usize>();
            let (x, dy) = (draw(cells(input), 0), draw(cells(output), 1));
            let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
            resize(&taps, samples, channels, &x, &mut y);
            let transposed = taps.clone().map(|taps| taps.transposed());
            resize(&transposed, samples, channels, &dy, &mut dx);
            let dot = |a: &[f32], b: &[f32]| -> f64 {
                a.iter()
                    .zip(b)
                    .map(|(&a, &b)| f64::from(a) * f64::from(b))
                    .sum()
            };
            assert!((dot(&y, &dy) - dot(&x, &dx)).abs() < 1e-4);

            let at = |sizes: [usize; 3], sample: usize, cell: [usize; 3], channel: usize| {
                let slice = (sample * sizes[0] + cell[0]) * sizes[1] + cell[1];
                (slice * sizes[2] + cell[2]) * channels + channel
            };
            for cell in [[0, 0, 0], [2, 3, 6], [1, 2, 4]] {
                let mut expected = 0.0;
                for &(d, in_depth) in taps[0].of(cell[0]) {
                    for &(h, in_height) in taps[1].of(cell[1]) {
                        for &(w, in_width) in taps[2].of(cell[2]) {
                            let x = x[at(input, 1, [d, h, w], 2)];
                            expected += in_depth * in_height * in_width * x;
                        }
                    }
                }
                assert!((y[at(output, 1, cell, 2)] - expected).abs() < 1e-5);
            }
        }
    }
}

//! Maxima and means over windows, channels last, and their gradients.
//!
//! **The order of addition.** The cells of a window are gone through in the order in which they lie
//! in memory, and those outside the input are left out; a gradient adds what the windows bring in the
//! order of the windows. Neither depends on threads or on the place in the batch.

use super::isa::vectorised;
use super::parallel::parts;
use super::window::Window;

/// The sizes of a pooling of `[samples, …input, channels]` to `[samples, …output, channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooling {
    /// The number of samples.
    pub samples: usize,
    /// The spatial sizes of the input.
    pub input: [usize; 3],
    /// The spatial sizes of the output, which must be those that the window makes of the input.
    pub output: [usize; 3],
    /// The number of channels.
    pub channels: usize,
    /// Which cells are pooled.
    pub window: Window,
}

/// The cells of one window that lie in the input, along each axis: the first, and how many.
#[derive(Clone, Copy)]
struct Seen {
    first: [usize; 3],
    count: [usize; 3],
}

impl Pooling {
    /// The numbers in one sample of the input.
    fn input_sample(&self) -> usize {
        self.input.iter().product::<usize>() * self.channels
    }

    /// The numbers in one row of the output.
    fn output_row(&self) -> usize {
        self.output[2] * self.channels
    }

    /// The rows of the output that one sample has.
    fn output_rows(&self) -> usize {
        self.output[0] * self.output[1]
    }

    fn check(&self, x: &[f32], y: &[f32]) {
        for axis in 0..3 {
            let output = self.window.output_size(axis, self.input[axis]);
            assert_eq!(output, Some(self.output[axis]), "pooling: axis {axis}");
        }
        assert_eq!(
            x.len(),
            self.samples * self.input_sample(),
            "pooling: input"
        );
        let cells = self.output_rows() * self.output_row();
        assert_eq!(y.len(), self.samples * cells, "pooling: output");
    }

    /// The first cell that output cell `output` sees along `axis`, and how many.
    #[inline(always)]
    fn seen_along(&self, axis: usize, output: usize) -> (usize, usize) {
        let (window, input) = (&self.window, self.input[axis]);
        let (start, before) = (output * window.strides[axis], window.padding[axis].0);
        let dilation = window.dilation[axis];
        let outside = before.saturating_sub(start).div_ceil(dilation);
        let first = start + outside * dilation - before.min(start + outside * dilation);
        let inside = input.saturating_sub(first).div_ceil(dilation);
        (first, inside.min(window.size[axis].saturating_sub(outside)))
    }

    #[inline(always)]
    fn seen(&self, [depth, row, column]: [usize; 3]) -> Seen {
        let axes = [
            self.seen_along(0, depth),
            self.seen_along(1, row),
            self.seen_along(2, column),
        ];
        Seen {
            first: axes.map(|(first, _)| first),
            count: axes.map(|(_, count)| count),
        }
    }

    /// Calls `visit` with the number of each cell seen, and where in its sample its channels start.
    #[inline(always)]
    fn visit(&self, seen: &Seen, mut visit: impl FnMut(u32, usize)) {
        let dilation = self.window.dilation;
        let mut number = 0;
        for depth in 0..seen.count[0] {
            let slice = (seen.first[0] + depth * dilation[0]) * self.input[1];
            for row in 0..seen.count[1] {
                let row = (slice + seen.first[1] + row * dilation[1]) * self.input[2];
                for column in 0..seen.count[2] {
                    let cell = row + seen.first[2] + column * dilation[2];
                    visit(number, cell * self.channels);
                    number += 1;
                }
            }
        }
    }
}

/// Runs `$block::<COUNT>(…, channel)` for blocks that together are all channels.
macro_rules! blocks {
    ($channels:expr, $block:ident ($($argument:expr),*)) => {
        let mut channel = 0;
        while channel + 32 <= $channels {
            $block::<32>($($argument,)* channel);
            channel += 32;
        }
        while channel + 4 <= $channels {
            $block::<4>($($argument,)* channel);
            channel += 4;
        }
        while channel < $channels {
            $block::<1>($($argument,)* channel);
            channel += 1;
        }
    };
}

/// `COUNT` numbers from `from` on.
#[inline(always)]
fn block<const COUNT: usize>(x: &[f32], from: usize) -> &[f32; COUNT] {
    x[from..].first_chunk().expect("sizes were checked")
}

#[inline(always)]
fn block_mut<const COUNT: usize>(x: &mut [f32], from: usize) -> &mut [f32; COUNT] {
    x[from..].first_chunk_mut().expect("sizes were checked")
}

/// Whether `value` takes the place of `best`: it is larger, or the first NaN.
#[inline(always)]
fn beats(value: f32, best: f32) -> bool {
    (value > best) | (value.is_nan() & !best.is_nan())
}

#[inline(always)]
fn max_block<const COUNT: usize>(
    sizes: &Pooling,
    seen: &Seen,
    x: &[f32],
    y: &mut [f32],
    channel: usize,
) {
    let mut best = [f32::NEG_INFINITY; COUNT];
    sizes.visit(seen, |_, cell| {
        let x = block::<COUNT>(x, cell + channel);
        for (best, &x) in best.iter_mut().zip(x) {
            *best = if beats(x, *best) { x } else { *best };
        }
    });
    *block_mut(y, channel) = best;
}

/// The number of the first largest cell, for each of `COUNT` channels.
#[inline(always)]
fn largest<const COUNT: usize>(
    sizes: &Pooling,
    seen: &Seen,
    x: &[f32],
    channel: usize,
) -> [u32; COUNT] {
    let (mut best, mut which) = ([f32::NEG_INFINITY; COUNT], [0; COUNT]);
    sizes.visit(seen, |number, cell| {
        let x = block::<COUNT>(x, cell + channel);
        for ((best, which), &x) in best.iter_mut().zip(&mut which).zip(x) {
            let larger = beats(x, *best);
            *best = if larger { x } else { *best };
            *which = if larger { number } else { *which };
        }
    });
    which
}

#[inline(always)]
fn pick_block<const COUNT: usize>(
    sizes: &Pooling,
    seen: &Seen,
    values: &[f32],
    x: &[f32],
    y: &mut [f32],
    channel: usize,
) {
    let which = largest::<COUNT>(sizes, seen, x, channel);
    let mut picked = [0.0; COUNT];
    sizes.visit(seen, |number, cell| {
        let values = block::<COUNT>(values, cell + channel);
        for ((picked, &which), &value) in picked.iter_mut().zip(&which).zip(values) {
            *picked = if which == number { value } else { *picked };
        }
    });
    *block_mut(y, channel) = picked;
}

#[inline(always)]
fn scatter_block<const COUNT: usize>(
    sizes: &Pooling,
    seen: &Seen,
    dy: &[f32],
    x: &[f32],
    dx: &mut [f32],
    channel: usize,
) {
    let which = largest::<COUNT>(sizes, seen, x, channel);
    let dy = block::<COUNT>(dy, channel);
    sizes.visit(seen, |number, cell| {
        let dx = block_mut::<COUNT>(dx, cell + channel);
        for ((dx, &which), &dy) in dx.iter_mut().zip(&which).zip(dy) {
            *dx += if which == number { dy } else { 0.0 };
        }
    });
}

#[inline(always)]
fn mean_block<const COUNT: usize>(
    sizes: &Pooling,
    seen: &Seen,
    x: &[f32],
    y: &mut [f32],
    channel: usize,
) {
    let mut sums = [0.0; COUNT];
    sizes.visit(seen, |_, cell| {
        let x = block::<COUNT>(x, cell + channel);
        for (sum, &x) in sums.iter_mut().zip(x) {
            *sum += x;
        }
    });
    let count = count(seen);
    *block_mut(y, channel) = sums.map(|sum| sum / count);
}

#[inline(always)]
fn spread_block<const COUNT: usize>(
    sizes: &Pooling,
    seen: &Seen,
    dy: &[f32],
    dx: &mut [f32],
    channel: usize,
) {
    let count = count(seen);
    let share = block::<COUNT>(dy, channel).map(|dy| dy / count);
    sizes.visit(seen, |_, cell| {
        let dx = block_mut::<COUNT>(dx, cell + channel);
        for (dx, &share) in dx.iter_mut().zip(&share) {
            *dx += share;
        }
    });
}

/// The number of cells seen; at least 1, so that a window outside the input has a mean of 0.
#[inline(always)]
fn count(seen: &Seen) -> f32 {
    seen.count.iter().product::<usize>().max(1) as f32
}

/// Defines a function that goes over the windows of a row of the output; `$at` is where the channels
/// of the output cell start in that row.
macro_rules! row {
    ($name:ident ($($argument:ident : $type:ty),*), |$sizes:ident, $seen:ident, $at:ident|
        $block:ident ($($given:expr),*)) => {
        vectorised! {
            fn $name[]($sizes: &Pooling, depth: usize, row: usize, $($argument: $type),*) {
                for column in 0..$sizes.output[2] {
                    let ($seen, $at) = (&$sizes.seen([depth, row, column]), column * $sizes.channels);
                    blocks!($sizes.channels, $block($sizes, $seen, $($given),*));
                }
            }
        }
    };
}

row!(max_row(x: &[f32], y: &mut [f32]), |sizes, seen, at| max_block(x, &mut y[at..]));
row!(mean_row(x: &[f32], y: &mut [f32]), |sizes, seen, at| mean_block(x, &mut y[at..]));
row!(pick_row(values: &[f32], x: &[f32], y: &mut [f32]), |sizes, seen, at| pick_block(
    values,
    x,
    &mut y[at..]
));
row!(scatter_row(dy: &[f32], x: &[f32], dx: &mut [f32]), |sizes, seen, at| scatter_block(
    &dy[at..],
    x,
    dx
));
row!(spread_row(dy: &[f32], dx: &mut [f32]), |sizes, seen, at| spread_block(
    &dy[at..],
    dx
));

/// Calls `work(sample, depth, row, part)` for the rows of the output.
fn output_rows(
    sizes: &Pooling,
    y: &mut [f32],
    work: impl Fn(usize, usize, usize, &mut [f32]) + Sync,
) {
    let (width, rows) = (sizes.output_row(), sizes.output_rows());
    if y.is_empty() {
        return;
    }
    parts(y, width, sizes.window.cells(), |start, part| {
        for (row, y) in part.chunks_exact_mut(width).enumerate() {
            let row = start / width + row;
            let (sample, row) = (row / rows, row % rows);
            work(sample, row / sizes.output[1], row % sizes.output[1], y);
        }
    });
}

/// Calls `work(depth, row, row of dy, dx of the sample)` for the rows of the output, in order
/// within a sample, on zeros.
fn input_samples(
    sizes: &Pooling,
    dy: &[f32],
    dx: &mut [f32],
    work: impl Fn(usize, usize, usize, &[f32], &mut [f32]) + Sync,
) {
    let (sample, width, rows) = (
        sizes.input_sample(),
        sizes.output_row(),
        sizes.output_rows(),
    );
    if dx.is_empty() {
        return;
    }
    let cost = (dy.len() * sizes.window.cells()).div_ceil(dx.len());
    parts(dx, sample, cost, |start, part| {
        for (index, dx) in part.chunks_exact_mut(sample).enumerate() {
            dx.fill(0.0);
            let sample = start / sample + index;
            for row in 0..rows {
                let dy = &dy[(sample * rows + row) * width..][..width];
                work(sample, row / sizes.output[1], row % sizes.output[1], dy, dx);
            }
        }
    });
}

/// The largest value of each window; NaN where any is, −∞ where a window sees nothing.
///
/// # Panics
/// If a length or the output's sizes do not fit; likewise for the other functions here.
pub fn max(sizes: &Pooling, x: &[f32], y: &mut [f32]) {
    sizes.check(x, y);
    let length = sizes.input_sample();
    output_rows(sizes, y, |sample, depth, row, y| {
        max_row(sizes, depth, row, &x[sample * length..][..length], y);
    });
}

/// The gradient of [`max`]: what comes in goes to the first largest value of each window.
pub fn max_gradient(sizes: &Pooling, dy: &[f32], x: &[f32], dx: &mut [f32]) {
    sizes.check(x, dy);
    assert_eq!(x.len(), dx.len(), "pooling: gradient");
    let length = sizes.input_sample();
    input_samples(sizes, dy, dx, |sample, depth, row, dy, dx| {
        scatter_row(sizes, depth, row, dy, &x[sample * length..][..length], dx);
    });
}

/// Of each window the element of `values` where `x` is largest first: the transpose of
/// [`max_gradient`].
pub fn pick_at_max(sizes: &Pooling, values: &[f32], x: &[f32], y: &mut [f32]) {
    sizes.check(x, y);
    assert_eq!(x.len(), values.len(), "pooling: values");
    let length = sizes.input_sample();
    output_rows(sizes, y, |sample, depth, row, y| {
        let part = sample * length..(sample + 1) * length;
        pick_row(sizes, depth, row, &values[part.clone()], &x[part], y);
    });
}

/// The mean of the cells of each window that lie in the input.
pub fn mean(sizes: &Pooling, x: &[f32], y: &mut [f32]) {
    sizes.check(x, y);
    let length = sizes.input_sample();
    output_rows(sizes, y, |sample, depth, row, y| {
        mean_row(sizes, depth, row, &x[sample * length..][..length], y);
    });
}

/// The gradient of [`mean`], its transpose: every cell of a window gets an equal share.
pub fn mean_gradient(sizes: &Pooling, dy: &[f32], dx: &mut [f32]) {
    sizes.check(dx, dy);
    input_samples(sizes, dy, dx, |_, depth, row, dy, dx| {
        spread_row(sizes, depth, row, dy, dx);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::random::{Key, normal};
    use proptest::prelude::*;

    fn draw(length: usize, stream: u64) -> Vec<f32> {
        let mut x = vec![0.0; length];
        normal(Key::new(5, stream), 0, &mut x);
        // Few different values, so that there are equal ones.
        x.iter_mut().for_each(|x| *x = (*x * 3.0).round() + 0.0);
        x
    }

    fn sizes(
        samples: usize,
        input: [usize; 3],
        channels: usize,
        window: Window,
    ) -> Option<Pooling> {
        let along = |axis: usize| window.output_size(axis, input[axis]);
        Some(Pooling {
            samples,
            input,
            output: [along(0)?, along(1)?, along(2)?],
            channels,
            window,
        })
    }

    /// For each element of the output the elements of the input that its window sees.
    fn seen(sizes: &Pooling) -> Vec<Vec<usize>> {
        let window = &sizes.window;
        let mut all = Vec::new();
        let cells = |axis: usize, output: usize| -> Vec<usize> {
            (0..window.size[axis])
                .map(|tap| output * window.strides[axis] + tap * window.dilation[axis])
                .filter_map(|cell| cell.checked_sub(window.padding[axis].0))
                .filter(|&cell| cell < sizes.input[axis])
                .collect()
        };
        let [depths, rows, columns] = sizes.output;
        for place in 0..sizes.samples * depths * rows * columns {
            let (rest, column) = (place / columns, place % columns);
            let (rest, row) = (rest / rows, rest % rows);
            let (sample, depth) = (rest / depths, rest % depths);
            for channel in 0..sizes.channels {
                let mut found = Vec::new();
                for d in cells(0, depth) {
                    for h in cells(1, row) {
                        for w in cells(2, column) {
                            let cell = (sample * sizes.input[0] + d) * sizes.input[1] + h;
                            let cell = cell * sizes.input[2] + w;
                            found.push(cell * sizes.channels + channel);
                        }
                    }
                }
                all.push(found);
            }
        }
        all
    }

    /// The first of the largest.
    fn largest(x: &[f32], seen: &[usize]) -> Option<usize> {
        seen.iter()
            .copied()
            .max_by(|&a, &b| x[a].total_cmp(&x[b]).then(b.cmp(&a)))
    }

    proptest! {
        #[test]
        fn poolings_do_what_their_definitions_say(
            samples in 1usize..3, input in prop::array::uniform3(1usize..6),
            channels in prop::sample::select(vec![1usize, 3, 4, 33, 70]),
            size in prop::array::uniform3(1usize..4), strides in prop::array::uniform3(1usize..4),
            dilation in prop::array::uniform3(1usize..3),
            before in prop::array::uniform3(0usize..5), after in prop::array::uniform3(0usize..5),
        ) {
            let padding = [0, 1, 2].map(|axis| (before[axis], after[axis]));
            let window = Window { size, strides, dilation, padding };
            let Some(sizes) = sizes(samples, input, channels, window) else { return Ok(()) };
            let seen = seen(&sizes);
            let x = draw(samples * sizes.input_sample(), 0);
            let (v, dy) = (draw(x.len(), 1), draw(seen.len(), 2));
            let (mut y, mut dx) = (vec![f32::NAN; seen.len()], vec![f32::NAN; x.len()]);

            max(&sizes, &x, &mut y);
            for (y, seen) in y.iter().zip(&seen) {
                prop_assert_eq!(*y, largest(&x, seen).map_or(f32::NEG_INFINITY, |at| x[at]));
            }
            pick_at_max(&sizes, &v, &x, &mut y);
            for (y, seen) in y.iter().zip(&seen) {
                prop_assert_eq!(*y, largest(&x, seen).map_or(0.0, |at| v[at]));
            }
            mean(&sizes, &x, &mut y);
            for (y, seen) in y.iter().zip(&seen) {
                let sum: f32 = seen.iter().map(|&at| x[at]).sum();
                prop_assert_eq!(*y, sum / seen.len().max(1) as f32);
            }
            max_gradient(&sizes, &dy, &x, &mut dx);
            let mut expected = vec![0.0; x.len()];
            for (dy, seen) in dy.iter().zip(&seen) {
                if let Some(at) = largest(&x, seen) {
                    expected[at] += dy;
                }
            }
            prop_assert_eq!(&dx, &expected);
            mean_gradient(&sizes, &dy, &mut dx);
            expected.fill(0.0);
            for (dy, seen) in dy.iter().zip(&seen) {
                seen.iter().for_each(|&at| expected[at] += dy / seen.len() as f32);
            }
            prop_assert_eq!(&dx, &expected);
        }
    }

    #[test]
    fn nan_wins() {
        let sizes = sizes(1, [1, 1, 3], 1, Window::new(&[3])).unwrap();
        for x in [
            [f32::NAN, 2.0, 1.0],
            [1.0, f32::NAN, 3.0],
            [2.0, 1.0, f32::NAN],
        ] {
            let (mut y, mut dx) = ([0.0], [9.0; 3]);
            max(&sizes, &x, &mut y);
            assert!(y[0].is_nan());
            max_gradient(&sizes, &[1.0], &x, &mut dx);
            assert_eq!(dx, x.map(|x| f32::from(u8::from(x.is_nan()))));
        }
    }

    #[test]
    fn the_number_of_threads_does_not_matter() {
        let window = Window::new(&[3, 3])
            .strides(&[2, 2])
            .same_padding(&[41, 43]);
        let sizes = sizes(3, [1, 41, 43], 64, window).unwrap();
        let x = draw(3 * sizes.input_sample(), 0);
        let dy = draw(3 * sizes.output_rows() * sizes.output_row(), 1);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| {
                let (mut largest, mut means) = (vec![0.0; dy.len()], vec![0.0; dy.len()]);
                let (mut of_largest, mut of_means) = (vec![0.0; x.len()], vec![0.0; x.len()]);
                max(&sizes, &x, &mut largest);
                mean(&sizes, &x, &mut means);
                max_gradient(&sizes, &dy, &x, &mut of_largest);
                mean_gradient(&sizes, &dy, &mut of_means);
                [largest, means, of_largest, of_means].concat()
            })
        };
        assert_eq!(run(1), run(3));
    }
}

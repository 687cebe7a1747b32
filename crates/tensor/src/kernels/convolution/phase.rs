//! Input pixels with the same remainder of their place by the strides, a *phase*, are seen through the same
//! taps. The gradient of a phase is a convolution of `dy`, with strides of 1, with those taps of the kernel
//! in reverse order.

use super::ConvolutionSizes;
use super::geometry::{Geometry, OutputLayout};

/// Input pixels whose gradient is one convolution of `dy`.
pub(super) struct Phase {
    pub geometry: Geometry,
    /// Where the phase's pixels lie in `dx`.
    pub layout: OutputLayout,
    /// The taps through which they are seen, the last first.
    pub taps: Vec<usize>,
}

/// A phase along one axis.
#[derive(Clone, Copy)]
struct AxisPhase {
    /// The first pixel.
    start: usize,
    /// How many there are, a stride apart.
    pixels: usize,
    /// The first tap through which they are seen; the others follow a stride apart.
    tap: usize,
    /// The number of those.
    taps: usize,
    /// How many pixels before `dy` the first window begins.
    before: isize,
}

impl AxisPhase {
    /// The phases along `axis` that are seen at all.
    fn all(sizes: &ConvolutionSizes, axis: usize) -> impl Iterator<Item = AxisPhase> {
        let (input, window) = (sizes.input[axis], sizes.kernel.window);
        let (stride, dilation) = (window.strides[axis], window.dilation[axis]);
        let (size, (padding, _)) = (window.size[axis], window.padding[axis]);
        (0..stride.min(input)).filter_map(move |start| {
            // Pixel `i` is seen through `j` from `(i + padding − j · dilation) / stride`, if that is whole.
            // With a dilation of 1 those are every stride-th; without strides, all.
            let tap = match stride {
                1 => 0,
                _ => (0..size).find(|j| {
                    (start + padding + stride * size * dilation - j * dilation)
                        .is_multiple_of(stride)
                })?,
            };
            let taps = (size - tap).div_ceil(stride);
            // The last of these taps comes first.
            let last = (tap + (taps - 1) * stride) * dilation;
            let first = (start + padding) as isize - last as isize;
            Some(AxisPhase {
                start,
                pixels: (input - start).div_ceil(stride),
                tap,
                taps,
                before: -first.div_euclid(stride as isize),
            })
        })
    }
}

/// All phases; `dx` is zero where no window sees it.
pub(super) fn phases(sizes: &ConvolutionSizes, dx: &mut [f32]) -> Vec<Phase> {
    let axes: [Vec<AxisPhase>; 3] =
        std::array::from_fn(|axis| AxisPhase::all(sizes, axis).collect());
    let (window, dense) = (
        sizes.kernel.window,
        OutputLayout::dense(sizes.input, sizes.kernel.channels),
    );
    let [_, height, width] = window.size;
    let phase = |phase: [AxisPhase; 3]| {
        let taps = |axis: usize| {
            let AxisPhase { tap, taps, .. } = phase[axis];
            (0..taps)
                .rev()
                .map(move |number| tap + number * window.strides[axis])
        };
        let of_rows = taps(0).flat_map(|d| taps(1).map(move |h| d * height + h));
        Phase {
            geometry: Geometry {
                samples: sizes.samples,
                input: sizes.output,
                output: phase.map(|phase| phase.pixels),
                taps: phase.map(|phase| phase.taps),
                strides: [1; 3],
                dilation: std::array::from_fn(|axis| match window.strides[axis] {
                    1 => window.dilation[axis],
                    _ => 1,
                }),
                before: phase.map(|phase| phase.before),
            },
            layout: OutputLayout {
                first: dense.at(0, phase.map(|phase| phase.start)),
                axes: std::array::from_fn(|axis| dense.axes[axis] * window.strides[axis]),
                ..dense
            },
            taps: of_rows
                .flat_map(|row| taps(2).map(move |w| row * width + w))
                .collect(),
        }
    };
    let [depths, rows, columns] = &axes;
    let rows = depths
        .iter()
        .flat_map(|&d| rows.iter().map(move |&h| (d, h)));
    let all = rows.flat_map(|(d, h)| columns.iter().map(move |&w| [d, h, w]));
    let phases: Vec<Phase> = all.map(phase).collect();
    let pixels = |size: [usize; 3]| size.iter().product::<usize>();
    let seen: usize = phases
        .iter()
        .map(|phase| pixels(phase.geometry.output))
        .sum();
    if seen < pixels(sizes.input) {
        dx.fill(0.0);
    }
    phases
}

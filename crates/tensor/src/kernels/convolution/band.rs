//! The bands of output cells that the [weight gradient](super::weight_gradient) works on, and the
//! input cells that they saw.

use std::ops::Range;

use super::Convolution;

/// Cells of the output that are multiplied at a time: what is copied of them for one tile of the kernel
/// stays in the first-level cache.
const CELLS: usize = 256;

/// How many times as many a band of rows has: neighboring rows saw much of the same, which is then
/// copied once.
const TOGETHER: usize = 2;

/// Output cells that are worked on together: rows of one slice, or several whole slices. Slices
/// number samples and their depth, so that a band's cells lie one after another.
pub(super) struct Band {
    pub slices: Range<usize>,
    pub rows: Range<usize>,
}

impl Band {
    /// All bands, in the order of their cells.
    pub fn all(sizes: &Convolution) -> impl Iterator<Item = Band> {
        let [depth, height, width] = sizes.output;
        let slices = sizes.samples * depth;
        let rows = (TOGETHER * CELLS / width).clamp(1, height);
        let at_once = (CELLS / (width * height)).max(1);
        (0..slices).step_by(at_once).flat_map(move |slice| {
            (0..height).step_by(rows).map(move |row| Band {
                slices: slice..slices.min(slice + at_once),
                rows: row..height.min(row + rows),
            })
        })
    }

    /// The rows in ranges that are multiplied at a time.
    pub fn row_ranges(&self, sizes: &Convolution) -> impl Iterator<Item = Range<usize>> {
        let (at_once, end) = ((CELLS / sizes.output[2]).max(1), self.rows.end);
        let starts = self.rows.clone().step_by(at_once);
        starts.map(move |start| start..end.min(start + at_once))
    }
}

/// The output cells along `axis` that saw an input cell through cell `tap` of the window.
pub(super) fn seeing(sizes: &Convolution, axis: usize, tap: usize) -> Range<usize> {
    let window = &sizes.window;
    let (stride, before) = (window.strides[axis], window.padding[axis].0);
    let offset = tap * window.dilation[axis];
    let first = before.saturating_sub(offset).div_ceil(stride);
    let end = match (sizes.input[axis] + before).checked_sub(offset + 1) {
        Some(last) => (last / stride + 1).min(sizes.output[axis]),
        None => 0,
    };
    first..end.max(first)
}

/// Those of `outputs` that saw an input cell through `tap`; none is an empty range.
pub(super) fn seeing_within(
    sizes: &Convolution,
    axis: usize,
    tap: usize,
    outputs: &Range<usize>,
) -> Range<usize> {
    let seeing = seeing(sizes, axis, tap);
    let start = seeing.start.max(outputs.start);
    start..seeing.end.min(outputs.end).max(start)
}

/// The input cell along `axis` that `output`, which must be [`seeing`], saw through `tap`.
pub(super) fn input_cell(sizes: &Convolution, axis: usize, output: usize, tap: usize) -> usize {
    let window = &sizes.window;
    output * window.strides[axis] + tap * window.dilation[axis] - window.padding[axis].0
}

/// Input cells along one axis that some output cells saw, through any cell of the window.
pub(super) struct Seen {
    /// The first.
    pub first: usize,
    /// How many there are.
    pub count: usize,
    /// How far apart they lie in the input: a window of one cell leaves out what its strides skip.
    pub step: usize,
    /// How far apart what two neighboring outputs saw is, counted in these cells.
    pub stride: usize,
}

impl Seen {
    /// What `outputs` saw along `axis`.
    pub fn by(sizes: &Convolution, axis: usize, outputs: &Range<usize>) -> Self {
        let window = &sizes.window;
        let ends = (0..window.size[axis]).filter_map(|tap| {
            let outputs = seeing_within(sizes, axis, tap, outputs);
            let last = outputs.clone().next_back()?;
            let at = |output| input_cell(sizes, axis, output, tap);
            Some((at(outputs.start), at(last) + 1))
        });
        let (first, end) = ends
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
            .unwrap_or_default();
        let (step, stride) = match window.size[axis] {
            1 => (window.strides[axis], 1),
            _ => (1, window.strides[axis]),
        };
        Seen {
            first,
            count: (end - first).div_ceil(step),
            step,
            stride,
        }
    }

    /// The number of input cell `cell` among these.
    pub fn place(&self, cell: usize) -> usize {
        (cell - self.first) / self.step
    }
}

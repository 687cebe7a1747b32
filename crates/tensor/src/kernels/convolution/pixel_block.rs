//! The blocks of output pixels that the [weight gradient](super::weight_gradient) works on, and the
//! input pixels that they saw.

use std::ops::Range;

use super::geometry::Geometry;

/// Pixels of the output that are multiplied at a time: what is packed of them for one tile of the kernel
/// stays in the first-level cache.
const PIXELS: usize = 256;

/// How many times as many a block of rows has: neighboring rows saw much of the same, which is then
/// packed once.
const TOGETHER: usize = 2;

/// Output pixels that are worked on together: rows of one slice, or several whole slices. Slices
/// number samples and their depth, so that a block's pixels lie one after another.
pub(super) struct PixelBlock {
    pub slices: Range<usize>,
    pub rows: Range<usize>,
}

impl PixelBlock {
    /// All blocks, in the order of their pixels.
    pub fn all(geometry: &Geometry) -> impl Iterator<Item = PixelBlock> {
        let [depth, height, width] = geometry.output;
        let slices = geometry.samples * depth;
        let rows = (TOGETHER * PIXELS / width).clamp(1, height);
        let at_once = (PIXELS / (width * height)).max(1);
        (0..slices).step_by(at_once).flat_map(move |slice| {
            (0..height).step_by(rows).map(move |row| PixelBlock {
                slices: slice..slices.min(slice + at_once),
                rows: row..height.min(row + rows),
            })
        })
    }

    /// The number of its pixels.
    pub fn pixels(&self, geometry: &Geometry) -> usize {
        self.slices.len() * self.rows.len() * geometry.output[2]
    }

    /// The rows in ranges that are multiplied at a time.
    pub fn row_ranges(&self, geometry: &Geometry) -> impl Iterator<Item = Range<usize>> {
        let (at_once, end) = ((PIXELS / geometry.output[2]).max(1), self.rows.end);
        let starts = self.rows.clone().step_by(at_once);
        starts.map(move |start| start..end.min(start + at_once))
    }
}

/// The input pixels along one axis that some output pixels see, through any tap.
pub(super) struct ReceptiveField {
    /// The first.
    pub first: usize,
    /// How many there are.
    pub count: usize,
    /// How far apart they lie in the input: a window of one tap leaves out what its strides skip.
    pub step: usize,
    /// How far apart what two neighboring outputs see is, counted in these pixels.
    pub stride: usize,
}

impl ReceptiveField {
    /// What `outputs` see along `axis`.
    pub fn of(geometry: &Geometry, axis: usize, outputs: &Range<usize>) -> Self {
        let (taps, stride) = (geometry.taps[axis], geometry.strides[axis]);
        let ends = (0..taps).filter_map(|tap| {
            let outputs = geometry.valid_outputs_of(axis, tap, outputs);
            let last = outputs.clone().next_back()?;
            let at = |output| geometry.input_pixel(axis, output, tap);
            Some((at(outputs.start), at(last) + 1))
        });
        let (first, end) = ends
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
            .unwrap_or_default();
        let (step, stride) = if taps == 1 { (stride, 1) } else { (1, stride) };
        ReceptiveField {
            first,
            count: (end - first).div_ceil(step),
            step,
            stride,
        }
    }

    /// The number of an input pixel among these.
    pub fn number(&self, pixel: usize) -> usize {
        (pixel - self.first) / self.step
    }
}

//! Which taps fall into the input, and where the pixels of a result lie.

use std::ops::Range;

use super::ConvolutionSizes;

/// A convolution as the fast kernels compute it. Along each axis, tap `t` of output pixel `o` falls on
/// input pixel `o · stride + t · dilation − before`, which may lie outside.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Geometry {
    pub samples: usize,
    pub input: [usize; 3],
    pub output: [usize; 3],
    /// The sizes of the window.
    pub taps: [usize; 3],
    pub strides: [usize; 3],
    pub dilation: [usize; 3],
    /// How many pixels before the input the first window begins; negative ones are behind its beginning.
    pub before: [isize; 3],
}

impl Geometry {
    pub fn of(sizes: &ConvolutionSizes) -> Self {
        let window = sizes.kernel.window;
        Geometry {
            samples: sizes.samples,
            input: sizes.input,
            output: sizes.output,
            taps: window.size,
            strides: window.strides,
            dilation: window.dilation,
            before: window.padding.map(|(before, _)| before as isize),
        }
    }

    /// The input pixel along `axis` that a tap falls on, which must be [valid](Self::valid_taps) but for
    /// a window of which none is.
    pub fn input_pixel(&self, axis: usize, output: usize, tap: usize) -> usize {
        let pixel = output * self.strides[axis] + tap * self.dilation[axis];
        pixel.wrapping_add_signed(-self.before[axis])
    }

    /// The taps along `axis` that fall into the input for an output pixel.
    pub fn valid_taps(&self, axis: usize, output: usize) -> Range<usize> {
        let first = (output * self.strides[axis]) as isize - self.before[axis];
        inside(
            first,
            self.dilation[axis],
            self.taps[axis],
            self.input[axis],
        )
    }

    /// The output pixels along `axis` for which all taps fall into the input.
    pub fn whole_outputs(&self, axis: usize) -> Range<usize> {
        let start = self.valid_outputs(axis, 0).start;
        start..self.valid_outputs(axis, self.taps[axis] - 1).end.max(start)
    }

    /// The output pixels along `axis` for which a tap falls into the input.
    pub fn valid_outputs(&self, axis: usize, tap: usize) -> Range<usize> {
        let first = (tap * self.dilation[axis]) as isize - self.before[axis];
        inside(
            first,
            self.strides[axis],
            self.output[axis],
            self.input[axis],
        )
    }

    /// Those of `outputs` for which a tap falls into the input.
    pub fn valid_outputs_of(
        &self,
        axis: usize,
        tap: usize,
        outputs: &Range<usize>,
    ) -> Range<usize> {
        let valid = self.valid_outputs(axis, tap);
        let start = valid.start.max(outputs.start);
        start..valid.end.min(outputs.end).max(start)
    }
}

/// The numbers `i` below `count` for which `0 ≤ first + i · step < size`.
fn inside(first: isize, step: usize, count: usize, size: usize) -> Range<usize> {
    let reaching = |index: isize| ((index - first).max(0) as usize).div_ceil(step).min(count);
    reaching(0)..reaching(size as isize)
}

/// Where the pixels of a result lie in memory; the values of one lie next to each other.
#[derive(Clone, Copy)]
pub(super) struct OutputLayout {
    /// Where the first pixel's values begin.
    pub first: usize,
    /// How far the next sample is.
    pub sample: usize,
    /// How far the next pixel along each axis is.
    pub axes: [usize; 3],
}

impl OutputLayout {
    /// Pixels of `values` values without gaps.
    pub fn dense([depth, height, width]: [usize; 3], values: usize) -> Self {
        OutputLayout {
            first: 0,
            sample: depth * height * width * values,
            axes: [height * width, width, 1].map(|pixels| pixels * values),
        }
    }

    /// Where a pixel's values begin.
    pub fn at(&self, sample: usize, [depth, row, column]: [usize; 3]) -> usize {
        let [next_slice, next_row, next_column] = self.axes;
        let pixel = depth * next_slice + row * next_row + column * next_column;
        self.first + sample * self.sample + pixel
    }

    /// Checks that the result of `geometry`, with `values` per pixel, lies in memory of `length` values
    /// and no pixel on another, so that threads may write different pixels.
    ///
    /// # Panics
    /// If not.
    pub fn check(&self, geometry: &Geometry, values: usize, length: usize) {
        let [depth, height, width] = geometry.output;
        let [next_slice, next_row, next_column] = self.axes;
        let nested = [
            (width, next_column),
            (height, next_row),
            (depth, next_slice),
            (geometry.samples, self.sample),
        ];
        let mut end = values;
        for (count, next) in nested {
            assert!(count < 2 || end <= next, "convolution: pixels overlap");
            end += count.saturating_sub(1) * next;
        }
        assert!(
            self.first + end <= length,
            "convolution: length of the result"
        );
    }
}

//! The geometry of convolutions and poolings: which cells of the input a cell of the output sees.

/// A window that moves over up to three spatial axes (depth, height, width). Fewer axes stand at the
/// end, those before them have size 1: a window over images is `[1, height, width]`.
///
/// Along an axis, output cell `i` sees the input cells `i · stride − before + j · dilation` for
/// `j = 0 … size − 1`; those that lie outside count as zeros in a convolution and are left out of a
/// pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The number of cells that are seen.
    pub size: [usize; 3],
    /// How far the window moves.
    pub strides: [usize; 3],
    /// How far the cells that are seen lie apart.
    pub dilation: [usize; 3],
    /// How many cells are thought in front of the input and behind it.
    pub padding: [(usize, usize); 3],
}

/// `values` at the end of three, with `fill` before them.
fn right_aligned<T: Copy>(values: &[T], fill: T) -> [T; 3] {
    assert!(values.len() <= 3, "a window has up to three axes");
    let mut all = [fill; 3];
    all[3 - values.len()..].copy_from_slice(values);
    all
}

impl Window {
    /// A window of this size that moves by 1 and never leaves the input.
    ///
    /// # Panics
    /// If there are more than three axes; likewise for the other methods.
    pub fn new(size: &[usize]) -> Self {
        Window {
            size: right_aligned(size, 1),
            strides: [1; 3],
            dilation: [1; 3],
            padding: [(0, 0); 3],
        }
    }

    /// How far the window moves along each axis.
    #[must_use]
    pub fn strides(mut self, strides: &[usize]) -> Self {
        self.strides = right_aligned(strides, 1);
        self
    }

    /// How far the cells that are seen lie apart along each axis.
    #[must_use]
    pub fn dilation(mut self, dilation: &[usize]) -> Self {
        self.dilation = right_aligned(dilation, 1);
        self
    }

    /// How many cells are thought in front of the input and behind it, along each axis.
    #[must_use]
    pub fn padding(mut self, padding: &[(usize, usize)]) -> Self {
        self.padding = right_aligned(padding, (0, 0));
        self
    }

    /// Padding such that an input of these sizes gives `⌈size / stride⌉` cells, as TensorFlow and
    /// Keras have it: an odd cell stands behind.
    #[must_use]
    pub fn same_padding(mut self, input: &[usize]) -> Self {
        for (axis, input) in right_aligned(input, 1).into_iter().enumerate() {
            let stride = self.strides[axis].max(1);
            let cells = input.div_ceil(stride).max(1);
            let needed = (cells - 1) * stride + self.reach(axis);
            let padding = needed.saturating_sub(input);
            self.padding[axis] = (padding / 2, padding - padding / 2);
        }
        self
    }

    /// How many cells of the input lie between the first and the last one seen, both counted.
    pub fn reach(&self, axis: usize) -> usize {
        self.size[axis].saturating_sub(1) * self.dilation[axis] + 1
    }

    /// The number of cells that an input of `input` cells gives along `axis` (of the three); `None`
    /// if the window does not fit in it, or has a size, stride or dilation of 0.
    pub fn output_size(&self, axis: usize, input: usize) -> Option<usize> {
        let (before, after) = self.padding[axis];
        let (stride, reach) = (self.strides[axis], self.reach(axis));
        if stride == 0 || self.size[axis] == 0 || self.dilation[axis] == 0 {
            return None;
        }
        Some((input + before + after).checked_sub(reach)? / stride + 1)
    }

    /// The number of cells seen.
    pub fn cells(&self) -> usize {
        self.size.iter().product()
    }

    /// Whether the window sees one cell at a time, each once and in order: a convolution with it is
    /// a plain matrix product.
    pub fn is_pointwise(&self) -> bool {
        self.size == [1; 3] && self.strides == [1; 3] && self.padding == [(0, 0); 3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_is_that_of_tensorflow() {
        // 224 cells, window 3, stride 2: 112 cells, none in front and one behind.
        let window = Window::new(&[3, 3])
            .strides(&[2, 2])
            .same_padding(&[224, 225]);
        assert_eq!(window.padding, [(0, 0), (0, 1), (1, 1)]);
        assert_eq!(window.output_size(1, 224), Some(112));
        assert_eq!(window.output_size(2, 225), Some(113));
        // A stride larger than the window leaves cells out and pads nothing.
        let window = Window::new(&[1]).strides(&[3]).same_padding(&[7]);
        assert_eq!(
            (window.padding[2], window.output_size(2, 7)),
            ((0, 0), Some(3))
        );
        // Dilation counts.
        let window = Window::new(&[3]).dilation(&[2]).same_padding(&[9]);
        assert_eq!(
            (window.padding[2], window.output_size(2, 9)),
            ((2, 2), Some(9))
        );
    }

    #[test]
    fn a_window_that_does_not_fit_gives_nothing() {
        assert_eq!(Window::new(&[3]).output_size(2, 2), None);
        assert_eq!(Window::new(&[3]).strides(&[0]).output_size(2, 9), None);
    }
}

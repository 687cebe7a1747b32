//! The window that a convolution or a pooling moves over its input, as settings say it.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use regraft_tensor::kernels::window::Window;

use super::padding::Padding;
use super::spatial::{image, require_sizes, spatial_sizes};

/// A window, how it moves, and where the channels are.
#[derive(Clone, Debug)]
pub(crate) struct Sliding<const RANK: usize> {
    pub size: [usize; RANK],
    pub strides: [usize; RANK],
    pub padding: Padding,
    pub dilation_rate: [usize; RANK],
    pub channels_first: bool,
}

impl<const RANK: usize> Sliding<RANK> {
    /// Checks the settings, of which the size is called `size`.
    pub fn check_settings(&self, size: &str, may_be_causal: bool) -> Result<(), Detail> {
        require_sizes(size, &self.size)?;
        require_sizes("strides", &self.strides)?;
        require_sizes("dilation_rate", &self.dilation_rate)?;
        self.padding.check(may_be_causal)
    }

    /// Checks the settings, of which the size is called `size`, and the input, whose number of
    /// channels it returns.
    pub fn check(
        &self,
        size: &str,
        may_be_causal: bool,
        inputs: &[Shape],
    ) -> Result<usize, Detail> {
        self.check_settings(size, may_be_causal)?;
        let (sizes, channels) = image::<RANK>(inputs, self.channels_first)?;
        let window = self.window(&sizes);
        for (axis, &input) in sizes.iter().enumerate() {
            let axis = axis + 3 - RANK;
            if input == 0 || window.output_size(axis, input).is_none() {
                let expected = format!("at least {} cells along each axis", window.reach(axis));
                let help = "use larger inputs, or padding \"same\"";
                return Err(Detail::new("", expected, &inputs[0]).help(help));
            }
        }
        Ok(channels)
    }

    /// The window for an input of these sizes.
    pub fn window(&self, input: &[usize; RANK]) -> Window {
        let window = Window::new(&self.size)
            .strides(&self.strides)
            .dilation(&self.dilation_rate);
        match self.padding {
            Padding::Same => window.same_padding(input),
            Padding::Causal => {
                let last = 2;
                let before = window.reach(last) - 1;
                window.padding(&[(before, 0)])
            }
            Padding::Valid | Padding::Unknown(_) => window,
        }
    }

    /// The window for `x` of `(batch, …spatial, channels)`.
    pub fn window_over(&self, x: Var<'_>) -> Window {
        self.window(&spatial_sizes(x))
    }

    /// An error if the window is both strided and dilated, which Keras refuses.
    pub fn refuse_strided_dilation(&self) -> Result<(), Detail> {
        let all_one = |sizes: &[usize]| sizes.iter().all(|&size| size == 1);
        match all_one(&self.strides) || all_one(&self.dilation_rate) {
            true => Ok(()),
            false => {
                let expected = "1, because strides are larger than 1";
                let received = format!("{:?}", self.dilation_rate);
                Err(Detail::new("dilation_rate", expected, received))
            }
        }
    }
}

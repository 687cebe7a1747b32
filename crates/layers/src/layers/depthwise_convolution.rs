//! Convolutions of each channel alone.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::convolution_options::{convolution, window_axes};
use super::padding::Padding;
use super::sliding::Sliding;
use super::spatial::{DataFormat, Sizes, in_format};
use super::support::adapted_or_quantized;
use crate::settings::require;
use crate::{
    Activation, Call, Constraint, Flow, Initializer, Layer, Regularizer, WeightAxis, Weights,
};

/// A [`DepthwiseConvolution`] over `(batch, steps, channels)`.
pub type DepthwiseConv1D = DepthwiseConvolution<1>;
/// A [`DepthwiseConvolution`] over `(batch, rows, columns, channels)`.
pub type DepthwiseConv2D = DepthwiseConvolution<2>;

settings! {
    /// A convolution of each channel with `depth_multiplier` kernels of its own: with m of them, channel
    /// `c · m + k` of the output is
    /// `activation(Σ x[i · stride − before + j · dilation, c] · kernel[j, c, k] + bias)`, the sum over the
    /// cells j of the window.
    ///
    /// | | |
    /// |---|---|
    /// | input | `(batch, …spatial, channels)`, one or two spatial axes |
    /// | output | `(batch, …spatial, channels · depth_multiplier)`, the sizes as [`Padding`] says |
    /// | weights | `kernel` `(…size, channels, depth_multiplier)` (`depthwise_kernel` in files of Keras 2), `bias` `(channels · depth_multiplier,)` |
    /// | defaults | strides, dilation and multiplier 1, no padding, no activation, Glorot uniform kernel, zero bias |
    /// | frozen | kernel and bias are constants, without gradient |
    ///
    /// Keras: <https://keras.io/api/layers/convolution_layers/depthwise_convolution2d/>.
    #[derive(Clone, Debug)]
    pub struct DepthwiseConvolution<const RANK: usize> as
        "keras.layers.DepthwiseConv1D", "keras.layers.DepthwiseConv2D"
    {
        /// A layer whose outputs each see a window of `kernel_size`, with Keras' defaults.
        new(kernel_size: Sizes<RANK>)
        /// The number of outputs for each channel; 1 unless told otherwise.
        depth_multiplier: usize = 1,
        /// How far the cells that the window sees lie apart; 1 unless told otherwise.
        dilation_rate: Sizes<RANK> = 1,
        kernel_size: Sizes<RANK> = kernel_size,
        /// How far the window moves along each axis; 1 unless told otherwise.
        strides: Sizes<RANK> = 1,
        /// What happens at the borders: `"valid"` unless told otherwise, or `"same"`.
        padding: Padding = Padding::Valid,
        data_format: DataFormat = DataFormat::ChannelsLast,
        /// Where the kernel starts.
        depthwise_initializer: Initializer = "glorot_uniform",
        /// A penalty on the kernel.
        depthwise_regularizer: Option<Regularizer> = None,
        /// What holds for the kernel after each update.
        depthwise_constraint: Option<Constraint> = None,
        /// What is applied to the sum: `"relu"`, or a value of a type of
        /// [`activations`](crate::activations).
        activation: Option<Activation> = None,
        /// Whether there is a bias (there is unless told otherwise).
        use_bias: bool = true,
        /// Where the bias starts.
        bias_initializer: Initializer = "zeros",
        /// A penalty on the bias.
        bias_regularizer: Option<Regularizer> = None,
        /// What holds for the bias after each update.
        bias_constraint: Option<Constraint> = None,
        /// A penalty on the output, divided by the batch size as Keras does.
        activity_regularizer: Option<Regularizer> = None,
    }
    reading |settings, _it| {
        adapted_or_quantized(settings)?;
        // Keras 2 writes what all its convolutions have, though it is of no use here.
        settings.ignore(&["groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"]);
    }
}

convolution!(DepthwiseConvolution);

/// The number of outputs that `channels` have in all.
pub(super) fn outputs(channels: usize, depth_multiplier: usize) -> Result<usize, Detail> {
    let outputs = channels.checked_mul(depth_multiplier);
    outputs.filter(|&outputs| outputs > 0).ok_or_else(|| {
        let expected = "at least 1, and outputs that can be counted";
        Detail::new("depth_multiplier", expected, depth_multiplier)
    })
}

impl<const RANK: usize> Layer for DepthwiseConvolution<RANK> {
    fn flow(&self) -> Flow {
        Flow::Image {
            channels_first: self.data_format.is_channels_first(),
        }
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        let channels = self.sliding().check("kernel_size", false, inputs)?;
        let outputs = outputs(channels, self.depth_multiplier)?;
        require(channels > 0, "", "at least 1 channel", channels)?;
        let mut shape = self.kernel_size.0.to_vec();
        shape.extend([channels, self.depth_multiplier]);
        let axes = window_axes(RANK, [WeightAxis::Channel, WeightAxis::Output]);
        weights
            .parameter("kernel", shape, &self.depthwise_initializer)
            .regularizer(&self.depthwise_regularizer)
            .constraint(&self.depthwise_constraint)
            .axes(axes);
        self.build_output(outputs, weights)
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.output(call, inputs[0], |x| {
            let window = self.sliding().window_over(x);
            call.product(x, "kernel", |x, kernel| {
                x.depthwise_convolution(kernel, window)
            })
        })
    }
}

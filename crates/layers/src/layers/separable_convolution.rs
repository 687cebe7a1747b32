//! Convolutions of each channel alone, followed by a mixture of the channels.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use regraft_tensor::kernels::window::Window;

use super::convolution_options::{convolution, window_axes};
use super::depthwise_convolution::outputs;
use super::padding::Padding;
use super::sliding::Sliding;
use super::spatial::{DataFormat, Sizes, in_format};
use super::support::adapted_or_quantized;
use crate::settings::require;
use crate::{
    Activation, Call, Constraint, Flow, Initializer, Layer, Regularizer, WeightAxis, Weights,
};

/// A [`SeparableConvolution`] over `(batch, steps, channels)`.
pub type SeparableConv1D = SeparableConvolution<1>;
/// A [`SeparableConvolution`] over `(batch, rows, columns, channels)`.
pub type SeparableConv2D = SeparableConvolution<2>;

settings! {
    /// `y = activation(depthwise(x) · pointwise_kernel + bias)`: a
    /// [`DepthwiseConvolution`](crate::layers::DepthwiseConvolution) without bias, then a convolution of
    /// single cells.
    ///
    /// | | |
    /// |---|---|
    /// | input | `(batch, …spatial, channels)`, one or two spatial axes |
    /// | output | `(batch, …spatial, filters)`, the sizes as [`Padding`] says |
    /// | weights | `depthwise_kernel` `(…size, channels, depth_multiplier)`, `pointwise_kernel` `(1, …, channels · depth_multiplier, filters)`, `bias` `(filters,)` |
    /// | defaults | strides, dilation and multiplier 1, no padding, no activation, Glorot uniform kernels, zero bias |
    /// | frozen | kernels and bias are constants, without gradient |
    ///
    /// Keras: <https://keras.io/api/layers/convolution_layers/separable_convolution2d/>.
    #[derive(Clone, Debug)]
    pub struct SeparableConvolution<const RANK: usize> as
        "keras.layers.SeparableConv1D", "keras.layers.SeparableConv2D"
    {
        /// A layer of `filters` outputs that each see a window of `kernel_size`, with Keras' defaults.
        new(filters: usize, kernel_size: Sizes<RANK>)
        filters: usize = filters,
        /// The number of outputs of the depthwise step for each channel; 1 unless told otherwise.
        depth_multiplier: usize = 1,
        /// How far the cells that the window sees lie apart; 1 unless told otherwise.
        dilation_rate: Sizes<RANK> = 1,
        kernel_size: Sizes<RANK> = kernel_size,
        /// How far the window moves along each axis; 1 unless told otherwise.
        strides: Sizes<RANK> = 1,
        /// What happens at the borders: `"valid"` unless told otherwise, or `"same"`.
        padding: Padding = Padding::Valid,
        data_format: DataFormat = DataFormat::ChannelsLast,
        /// Where the depthwise kernel starts.
        depthwise_initializer: Initializer = "glorot_uniform",
        /// A penalty on the depthwise kernel.
        depthwise_regularizer: Option<Regularizer> = None,
        /// What holds for the depthwise kernel after each update.
        depthwise_constraint: Option<Constraint> = None,
        /// Where the pointwise kernel starts.
        pointwise_initializer: Initializer = "glorot_uniform",
        /// A penalty on the pointwise kernel.
        pointwise_regularizer: Option<Regularizer> = None,
        /// What holds for the pointwise kernel after each update.
        pointwise_constraint: Option<Constraint> = None,
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

convolution!(SeparableConvolution);

impl<const RANK: usize> Layer for SeparableConvolution<RANK> {
    fn flow(&self) -> Flow {
        Flow::Image {
            channels_first: self.data_format.is_channels_first(),
        }
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        require(self.filters > 0, "filters", "at least 1", self.filters)?;
        let channels = self.sliding().check("kernel_size", false, inputs)?;
        let outputs = outputs(channels, self.depth_multiplier)?;
        let mut shape = self.kernel_size.0.to_vec();
        shape.extend([channels, self.depth_multiplier]);
        let axes = window_axes(RANK, [WeightAxis::Channel, WeightAxis::Output]);
        weights
            .parameter("depthwise_kernel", shape, &self.depthwise_initializer)
            .regularizer(&self.depthwise_regularizer)
            .constraint(&self.depthwise_constraint)
            .axes(axes);
        let mut shape = vec![1; RANK];
        shape.extend([outputs, self.filters]);
        let axes = window_axes(RANK, [WeightAxis::Input, WeightAxis::Output]);
        weights
            .parameter("pointwise_kernel", shape, &self.pointwise_initializer)
            .regularizer(&self.pointwise_regularizer)
            .constraint(&self.pointwise_constraint)
            .axes(axes);
        self.build_output(self.filters, weights)
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.output(call, inputs[0], |x| {
            let window = self.sliding().window_over(x);
            let cell = Window::new(&[1; RANK]);
            let channels = call.product(x, "depthwise_kernel", |x, kernel| {
                x.depthwise_convolution(kernel, window)
            });
            call.product(channels, "pointwise_kernel", |x, kernel| {
                x.convolution(kernel, cell, 1)
            })
        })
    }
}

//! Transposed convolutions over one, two or three spatial axes.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::convolution_options::{convolution, window_axes};
use super::padding::Padding;
use super::sliding::Sliding;
use super::spatial::{DataFormat, Sizes, image, in_format, spatial_sizes};
use super::support::adapted_or_quantized;
use crate::settings::require;
use crate::{
    Activation, Call, Constraint, Flow, Initializer, Layer, Regularizer, WeightAxis, Weights,
};

/// A [`ConvolutionTransposed`] over `(batch, steps, channels)`.
pub type Conv1DTranspose = ConvolutionTransposed<1>;
/// A [`ConvolutionTransposed`] over `(batch, rows, columns, channels)`.
pub type Conv2DTranspose = ConvolutionTransposed<2>;
/// A [`ConvolutionTransposed`] over `(batch, depth, rows, columns, channels)`.
pub type Conv3DTranspose = ConvolutionTransposed<3>;

settings! {
    /// `y[i · stride − before + j · dilation, f] += x[i, c] · kernel[j, f, c]` for all cells i of the input
    /// and j of the window, then bias and activation: what a
    /// [`Convolution`](crate::layers::Convolution) with this kernel does to gradients on their way back.
    /// With strides it makes inputs larger.
    ///
    /// With the input's size n, the stride s and the reach k = (size − 1) · dilation + 1 of the window
    /// along an axis, the output's size is
    ///
    /// | padding | without `output_padding` | with `output_padding` p < s |
    /// |---|---|---|
    /// | `"valid"` | (n − 1) · s + max(k, s) | (n − 1) · s + k + p |
    /// | `"same"` | n · s | (n − 1) · s + k mod 2 + p |
    ///
    /// | | |
    /// |---|---|
    /// | input | `(batch, …spatial, channels)` |
    /// | output | `(batch, …spatial, filters)` |
    /// | weights | `kernel` `(…size, filters, channels)`, `bias` `(filters,)` |
    /// | defaults | strides and dilation 1, no padding, no activation, Glorot uniform kernel, zero bias |
    /// | frozen | kernel and bias are constants, without gradient |
    ///
    /// As in Keras, the window cannot be both strided and dilated.
    /// Keras: <https://keras.io/api/layers/convolution_layers/convolution2d_transpose/>.
    #[derive(Clone, Debug)]
    pub struct ConvolutionTransposed<const RANK: usize> as
        "keras.layers.Conv1DTranspose", "keras.layers.Conv2DTranspose", "keras.layers.Conv3DTranspose"
    {
        /// A layer of `filters` outputs with windows of `kernel_size`, with Keras' defaults.
        new(filters: usize, kernel_size: Sizes<RANK>)
        filters: usize = filters,
        /// How far the cells that the window sees lie apart; 1 unless told otherwise.
        dilation_rate: Sizes<RANK> = 1,
        /// Which of the sizes that a convolution would bring to the input's the output has; less than
        /// the strides.
        output_padding: Option<Sizes<RANK>> = None,
        kernel_size: Sizes<RANK> = kernel_size,
        /// How far the window moves along each axis; 1 unless told otherwise.
        strides: Sizes<RANK> = 1,
        /// What happens at the borders: `"valid"` unless told otherwise, or `"same"`.
        padding: Padding = Padding::Valid,
        data_format: DataFormat = DataFormat::ChannelsLast,
        /// Where the kernel starts.
        kernel_initializer: Initializer = "glorot_uniform",
        /// A penalty on the kernel.
        kernel_regularizer: Option<Regularizer> = None,
        /// What holds for the kernel after each update.
        kernel_constraint: Option<Constraint> = None,
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
        // Keras 2 writes it, and computes with 1 alone.
        let groups: usize = settings.or("groups", 1)?;
        require(groups == 1, "groups", "1", groups)?;
    }
}

convolution!(ConvolutionTransposed);

impl<const RANK: usize> ConvolutionTransposed<RANK> {
    /// The sizes of the output for an input of these sizes.
    fn output_sizes(&self, input: [usize; RANK]) -> [usize; RANK] {
        let window = self.sliding().window(&input);
        std::array::from_fn(|axis| {
            let (stride, reach) = (self.strides.0[axis], window.reach(axis + 3 - RANK));
            let more = self.output_padding.map(|Sizes(padding)| padding[axis]);
            let whole = input[axis].saturating_mul(stride);
            let but_one = whole.saturating_sub(stride);
            match (&self.padding, more) {
                (Padding::Same, None) => whole,
                (Padding::Same, Some(more)) => but_one.saturating_add(reach % 2 + more),
                (_, None) => but_one.saturating_add(reach.max(stride)),
                (_, Some(more)) => but_one.saturating_add(reach + more),
            }
        })
    }
}

impl<const RANK: usize> Layer for ConvolutionTransposed<RANK> {
    fn flow(&self) -> Flow {
        Flow::Image {
            channels_first: self.data_format.is_channels_first(),
        }
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        require(self.filters > 0, "filters", "at least 1", self.filters)?;
        self.sliding().refuse_strided_dilation()?;
        self.sliding().check_settings("kernel_size", false)?;
        if let Some(Sizes(padding)) = self.output_padding {
            let mut axes = padding.iter().zip(&self.strides.0);
            let fits = axes.all(|(padding, stride)| padding < stride);
            let expected = format!("less than the strides {:?}", self.strides.0);
            require(fits, "output_padding", &expected, padding)?;
        }
        let (sizes, channels) = image::<RANK>(inputs, self.data_format.is_channels_first())?;
        let output = self.output_sizes(sizes);
        let window = self.sliding().window(&output);
        for axis in 0..RANK {
            let back = window.output_size(axis + 3 - RANK, output[axis]);
            if back != Some(sizes[axis]) || sizes[axis] == 0 {
                let expected = "an output that a convolution brings to the input's size";
                let received = format!("{output:?} for {}", inputs[0]);
                return Err(Detail::new("output_padding", expected, received));
            }
        }
        let mut shape = self.kernel_size.0.to_vec();
        shape.extend([self.filters, channels]);
        let axes = window_axes(RANK, [WeightAxis::Output, WeightAxis::Input]);
        weights
            .parameter("kernel", shape, &self.kernel_initializer)
            .regularizer(&self.kernel_regularizer)
            .constraint(&self.kernel_constraint)
            .axes(axes);
        self.build_output(self.filters, weights)
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.output(call, inputs[0], |x| {
            let sizes = self.output_sizes(spatial_sizes(x));
            let window = self.sliding().window(&sizes);
            call.product(x, "kernel", |x, kernel| {
                x.convolution_transposed(kernel, window, 1, &sizes)
            })
        })
    }
}

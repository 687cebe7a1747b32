//! Transposed convolutions over one, two or three spatial axes.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::convolution_options::{
    OutputOptions, WeightOptions, convolution_methods, weight_methods, window_axes,
};
use super::padding::Padding;
use super::sliding::Sliding;
use super::spatial::{Sizes, image, in_format, of_rank, spatial_sizes};
use super::support::object;
use crate::settings::{FromSettings, Settings, require};
use crate::{
    Activation, Call, Constraint, Flow, Initializer, Layer, Regularizer, WeightAxis, Weights,
};

/// A [`ConvolutionTransposed`] over `(batch, steps, channels)`.
pub type Conv1DTranspose = ConvolutionTransposed<1>;
/// A [`ConvolutionTransposed`] over `(batch, rows, columns, channels)`.
pub type Conv2DTranspose = ConvolutionTransposed<2>;
/// A [`ConvolutionTransposed`] over `(batch, depth, rows, columns, channels)`.
pub type Conv3DTranspose = ConvolutionTransposed<3>;

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
pub struct ConvolutionTransposed<const RANK: usize> {
    filters: usize,
    sliding: Sliding<RANK>,
    output_padding: Option<[usize; RANK]>,
    kernel: WeightOptions,
    output: OutputOptions,
}

impl<const RANK: usize> ConvolutionTransposed<RANK> {
    /// A layer of `filters` outputs with windows of `kernel_size`, with Keras' defaults.
    pub fn new(filters: usize, kernel_size: impl Into<Sizes<RANK>>) -> Self {
        ConvolutionTransposed {
            filters,
            sliding: Sliding::new(kernel_size.into().0),
            output_padding: None,
            kernel: WeightOptions::new("glorot_uniform"),
            output: OutputOptions::new(),
        }
    }

    /// Which of the sizes that a convolution would bring to the input's the output has; less than
    /// the strides.
    #[must_use]
    pub fn output_padding(mut self, output_padding: impl Into<Sizes<RANK>>) -> Self {
        self.output_padding = Some(output_padding.into().0);
        self
    }

    convolution_methods!(RANK);
    weight_methods!(
        kernel,
        "kernel",
        kernel_initializer,
        kernel_regularizer,
        kernel_constraint
    );

    /// The sizes of the output for an input of these sizes.
    fn output_sizes(&self, input: [usize; RANK]) -> [usize; RANK] {
        let window = self.sliding.window(&input);
        std::array::from_fn(|axis| {
            let (stride, reach) = (self.sliding.strides[axis], window.reach(axis + 3 - RANK));
            let more = self.output_padding.map(|padding| padding[axis]);
            let whole = input[axis].saturating_mul(stride);
            let but_one = whole.saturating_sub(stride);
            match (&self.sliding.padding, more) {
                (Padding::Same, None) => whole,
                (Padding::Same, Some(more)) => but_one.saturating_add(reach % 2 + more),
                (_, None) => but_one.saturating_add(reach.max(stride)),
                (_, Some(more)) => but_one.saturating_add(reach + more),
            }
        })
    }
}

impl<const RANK: usize> Layer for ConvolutionTransposed<RANK> {
    fn class_name(&self) -> &str {
        of_rank::<RANK>(["Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"])
    }

    fn flow(&self) -> Flow {
        Flow::Image {
            channels_first: self.sliding.channels_first,
        }
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        require(self.filters > 0, "filters", "at least 1", self.filters)?;
        self.sliding.refuse_strided_dilation()?;
        self.sliding.check_settings("kernel_size", false)?;
        if let Some(padding) = self.output_padding {
            let mut axes = padding.iter().zip(&self.sliding.strides);
            let fits = axes.all(|(padding, stride)| padding < stride);
            let expected = format!("less than the strides {:?}", self.sliding.strides);
            require(fits, "output_padding", &expected, padding)?;
        }
        let (sizes, channels) = image::<RANK>(inputs, self.sliding.channels_first)?;
        let output = self.output_sizes(sizes);
        let window = self.sliding.window(&output);
        for axis in 0..RANK {
            let back = window.output_size(axis + 3 - RANK, output[axis]);
            if back != Some(sizes[axis]) || sizes[axis] == 0 {
                let expected = "an output that a convolution brings to the input's size";
                let received = format!("{output:?} for {}", inputs[0]);
                return Err(Detail::new("output_padding", expected, received));
            }
        }
        let mut shape = self.sliding.size.to_vec();
        shape.extend([self.filters, channels]);
        let axes = window_axes(RANK, [WeightAxis::Output, WeightAxis::Input]);
        self.kernel.declare("kernel", shape, weights).axes(axes);
        self.output.build(self.filters, weights)
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let output = in_format(inputs[0], self.sliding.channels_first, |x| {
            let sizes = self.output_sizes(spatial_sizes(x));
            let window = self.sliding.window(&sizes);
            let y = x.convolution_transposed(call.weight("kernel"), window, 1, &sizes);
            self.output.add_bias(call, y)
        });
        self.output.activate(call, output)
    }

    fn config(&self) -> Map<String, Value> {
        let output_padding = self.output_padding.as_ref();
        let mut config = object(json!({
            "filters": self.filters,
            "dilation_rate": self.sliding.dilation_rate.as_slice(),
            "output_padding": output_padding.map(|padding| padding.as_slice()),
        }));
        self.sliding.write("kernel_size", &mut config);
        self.kernel.write("kernel", &mut config);
        self.output.write(&mut config);
        config
    }
}

impl<const RANK: usize> FromSettings for ConvolutionTransposed<RANK> {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let kernel = [
            "kernel_initializer",
            "kernel_regularizer",
            "kernel_constraint",
        ];
        // Keras 2 writes it, and computes with 1 alone.
        let groups = settings.optional_size("groups")?.unwrap_or(1);
        require(groups == 1, "groups", "1", groups)?;
        Ok(ConvolutionTransposed {
            filters: settings.size("filters")?,
            sliding: Sliding::of_convolution(settings)?,
            output_padding: settings.sizes("output_padding")?,
            kernel: WeightOptions::from_settings(settings, kernel, "glorot_uniform")?,
            output: OutputOptions::from_settings(settings)?,
        })
    }
}

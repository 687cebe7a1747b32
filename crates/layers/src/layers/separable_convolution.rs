//! Convolutions of each channel alone, followed by a mixture of the channels.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use regraft_tensor::kernels::window::Window;
use serde_json::{Map, Value, json};

use super::convolution_options::{
    OutputOptions, WeightOptions, convolution_methods, weight_methods, window_axes,
};
use super::depthwise_convolution::outputs;
use super::padding::Padding;
use super::sliding::Sliding;
use super::spatial::{Sizes, in_format, of_rank};
use super::support::object;
use crate::settings::{FromSettings, Settings, require};
use crate::{
    Activation, Call, Constraint, Flow, Initializer, Layer, Regularizer, WeightAxis, Weights,
};

/// A [`SeparableConvolution`] over `(batch, steps, channels)`.
pub type SeparableConv1D = SeparableConvolution<1>;
/// A [`SeparableConvolution`] over `(batch, rows, columns, channels)`.
pub type SeparableConv2D = SeparableConvolution<2>;

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
pub struct SeparableConvolution<const RANK: usize> {
    filters: usize,
    sliding: Sliding<RANK>,
    depth_multiplier: usize,
    depthwise: WeightOptions,
    pointwise: WeightOptions,
    output: OutputOptions,
}

impl<const RANK: usize> SeparableConvolution<RANK> {
    /// A layer of `filters` outputs that each see a window of `kernel_size`, with Keras' defaults.
    pub fn new(filters: usize, kernel_size: impl Into<Sizes<RANK>>) -> Self {
        const { assert!(RANK <= 2, "one or two spatial axes") }
        SeparableConvolution {
            filters,
            sliding: Sliding::new(kernel_size.into().0),
            depth_multiplier: 1,
            depthwise: WeightOptions::new("glorot_uniform"),
            pointwise: WeightOptions::new("glorot_uniform"),
            output: OutputOptions::new(),
        }
    }

    /// The number of outputs of the depthwise step for each channel; 1 unless told otherwise.
    #[must_use]
    pub fn depth_multiplier(mut self, depth_multiplier: usize) -> Self {
        self.depth_multiplier = depth_multiplier;
        self
    }

    convolution_methods!(RANK);
    weight_methods!(
        depthwise,
        "depthwise kernel",
        depthwise_initializer,
        depthwise_regularizer,
        depthwise_constraint
    );
    weight_methods!(
        pointwise,
        "pointwise kernel",
        pointwise_initializer,
        pointwise_regularizer,
        pointwise_constraint
    );
}

impl<const RANK: usize> Layer for SeparableConvolution<RANK> {
    fn class_name(&self) -> &str {
        of_rank::<RANK>(["SeparableConv1D", "SeparableConv2D", ""])
    }

    fn flow(&self) -> Flow {
        Flow::Image {
            channels_first: self.sliding.channels_first,
        }
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        require(self.filters > 0, "filters", "at least 1", self.filters)?;
        let channels = self.sliding.check("kernel_size", false, inputs)?;
        let outputs = outputs(channels, self.depth_multiplier)?;
        let mut shape = self.sliding.size.to_vec();
        shape.extend([channels, self.depth_multiplier]);
        let axes = window_axes(RANK, [WeightAxis::Channel, WeightAxis::Output]);
        self.depthwise
            .declare("depthwise_kernel", shape, weights)
            .axes(axes);
        let mut shape = vec![1; RANK];
        shape.extend([outputs, self.filters]);
        let axes = window_axes(RANK, [WeightAxis::Input, WeightAxis::Output]);
        self.pointwise
            .declare("pointwise_kernel", shape, weights)
            .axes(axes);
        self.output.build(self.filters, weights)
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let output = in_format(inputs[0], self.sliding.channels_first, |x| {
            let window = self.sliding.window_over(x);
            let cell = Window::new(&[1; RANK]);
            let y = x
                .depthwise_convolution(call.weight("depthwise_kernel"), window)
                .convolution(call.weight("pointwise_kernel"), cell, 1);
            self.output.add_bias(call, y)
        });
        self.output.activate(call, output)
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = object(json!({
            "filters": self.filters,
            "depth_multiplier": self.depth_multiplier,
            "dilation_rate": self.sliding.dilation_rate.as_slice(),
        }));
        self.sliding.write("kernel_size", &mut config);
        self.depthwise.write("depthwise", &mut config);
        self.pointwise.write("pointwise", &mut config);
        self.output.write(&mut config);
        config
    }
}

impl<const RANK: usize> FromSettings for SeparableConvolution<RANK> {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let depthwise = [
            "depthwise_initializer",
            "depthwise_regularizer",
            "depthwise_constraint",
        ];
        let pointwise = [
            "pointwise_initializer",
            "pointwise_regularizer",
            "pointwise_constraint",
        ];
        // Keras 2 writes what all its convolutions have, though it is of no use here.
        settings.ignore(&[
            "groups",
            "kernel_initializer",
            "kernel_regularizer",
            "kernel_constraint",
        ]);
        Ok(SeparableConvolution {
            filters: settings.size("filters")?,
            sliding: Sliding::of_convolution(settings)?,
            depth_multiplier: settings.optional_size("depth_multiplier")?.unwrap_or(1),
            depthwise: WeightOptions::from_settings(settings, depthwise, "glorot_uniform")?,
            pointwise: WeightOptions::from_settings(settings, pointwise, "glorot_uniform")?,
            output: OutputOptions::from_settings(settings)?,
        })
    }
}

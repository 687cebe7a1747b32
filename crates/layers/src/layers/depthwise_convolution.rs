//! Convolutions of each channel alone.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::convolution_options::{
    OutputOptions, WeightOptions, convolution_methods, weight_methods, window_axes,
};
use super::padding::Padding;
use super::sliding::Sliding;
use super::spatial::{Sizes, in_format, of_rank};
use super::support::object;
use crate::settings::{FromSettings, Settings, require};
use crate::{
    Activation, Call, Constraint, Flow, Initializer, Layer, Regularizer, WeightAxis, Weights,
};

/// A [`DepthwiseConvolution`] over `(batch, steps, channels)`.
pub type DepthwiseConv1D = DepthwiseConvolution<1>;
/// A [`DepthwiseConvolution`] over `(batch, rows, columns, channels)`.
pub type DepthwiseConv2D = DepthwiseConvolution<2>;

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
pub struct DepthwiseConvolution<const RANK: usize> {
    sliding: Sliding<RANK>,
    depth_multiplier: usize,
    depthwise: WeightOptions,
    output: OutputOptions,
}

impl<const RANK: usize> DepthwiseConvolution<RANK> {
    /// A layer whose outputs each see a window of `kernel_size`, with Keras' defaults.
    pub fn new(kernel_size: impl Into<Sizes<RANK>>) -> Self {
        const { assert!(RANK <= 2, "one or two spatial axes") }
        DepthwiseConvolution {
            sliding: Sliding::new(kernel_size.into().0),
            depth_multiplier: 1,
            depthwise: WeightOptions::new("glorot_uniform"),
            output: OutputOptions::new(),
        }
    }

    /// The number of outputs for each channel; 1 unless told otherwise.
    #[must_use]
    pub fn depth_multiplier(mut self, depth_multiplier: usize) -> Self {
        self.depth_multiplier = depth_multiplier;
        self
    }

    convolution_methods!(RANK);
    weight_methods!(
        depthwise,
        "kernel",
        depthwise_initializer,
        depthwise_regularizer,
        depthwise_constraint
    );
}

/// The number of outputs that `channels` have in all.
pub(super) fn outputs(channels: usize, depth_multiplier: usize) -> Result<usize, Detail> {
    let outputs = channels.checked_mul(depth_multiplier);
    outputs.filter(|&outputs| outputs > 0).ok_or_else(|| {
        let expected = "at least 1, and outputs that can be counted";
        Detail::new("depth_multiplier", expected, depth_multiplier)
    })
}

impl<const RANK: usize> Layer for DepthwiseConvolution<RANK> {
    fn class_name(&self) -> &str {
        of_rank::<RANK>(["DepthwiseConv1D", "DepthwiseConv2D", ""])
    }

    fn flow(&self) -> Flow {
        Flow::Image {
            channels_first: self.sliding.channels_first,
        }
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        let channels = self.sliding.check("kernel_size", false, inputs)?;
        let outputs = outputs(channels, self.depth_multiplier)?;
        require(channels > 0, "", "at least 1 channel", channels)?;
        let mut shape = self.sliding.size.to_vec();
        shape.extend([channels, self.depth_multiplier]);
        let axes = window_axes(RANK, [WeightAxis::Channel, WeightAxis::Output]);
        self.depthwise.declare("kernel", shape, weights).axes(axes);
        self.output.build(outputs, weights)
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let output = in_format(inputs[0], self.sliding.channels_first, |x| {
            let window = self.sliding.window_over(x);
            let y = x.depthwise_convolution(call.weight("kernel"), window);
            self.output.add_bias(call, y)
        });
        self.output.activate(call, output)
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = object(json!({
            "depth_multiplier": self.depth_multiplier,
            "dilation_rate": self.sliding.dilation_rate.as_slice(),
        }));
        self.sliding.write("kernel_size", &mut config);
        self.depthwise.write("depthwise", &mut config);
        self.output.write(&mut config);
        config
    }
}

impl<const RANK: usize> FromSettings for DepthwiseConvolution<RANK> {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let depthwise = [
            "depthwise_initializer",
            "depthwise_regularizer",
            "depthwise_constraint",
        ];
        // Keras 2 writes what all its convolutions have, though it is of no use here.
        settings.ignore(&[
            "groups",
            "kernel_initializer",
            "kernel_regularizer",
            "kernel_constraint",
        ]);
        Ok(DepthwiseConvolution {
            sliding: Sliding::of_convolution(settings)?,
            depth_multiplier: settings.optional_size("depth_multiplier")?.unwrap_or(1),
            depthwise: WeightOptions::from_settings(settings, depthwise, "glorot_uniform")?,
            output: OutputOptions::from_settings(settings)?,
        })
    }
}

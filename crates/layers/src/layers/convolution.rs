//! Convolutions over one, two or three spatial axes.

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

/// A [`Convolution`] over `(batch, steps, channels)`.
pub type Conv1D = Convolution<1>;
/// A [`Convolution`] over `(batch, rows, columns, channels)`.
pub type Conv2D = Convolution<2>;
/// A [`Convolution`] over `(batch, depth, rows, columns, channels)`.
pub type Conv3D = Convolution<3>;

/// `y[i, f] = activation(Σ x[i · stride − before + j · dilation, c] · kernel[j, c, f] + bias[f])`, the
/// sum over the cells j of the window and the channels c; [`Padding`] says what `before` is.
///
/// ```
/// use regraft_layers::{Input, Sequential, layers, layers::Conv2D};
///
/// let convolution = Conv2D::new(32, [3, 3]).strides([2, 2]).padding("same").activation("relu6");
/// let model = Sequential::new(layers![Input::new([224, 224, 3]), convolution])?;
/// assert_eq!(model.output_shapes()[0].to_string(), "(None, 112, 112, 32)");
/// # Ok::<(), regraft_layers::Error>(())
/// ```
///
/// | | |
/// |---|---|
/// | input | `(batch, …spatial, channels)` |
/// | output | `(batch, …spatial, filters)`, the sizes as [`Padding`] says |
/// | weights | `kernel` `(…size, channels / groups, filters)`, `bias` `(filters,)` |
/// | defaults | strides and dilation 1, no padding, 1 group, no activation, Glorot uniform kernel, zero bias |
/// | frozen | kernel and bias are constants: packed once, without gradient, and a frozen [`BatchNormalization`](crate::layers::BatchNormalization) behind folds into them |
///
/// As in Keras, the window cannot be both strided and dilated.
/// Keras: <https://keras.io/api/layers/convolution_layers/convolution2d/>.
#[derive(Clone, Debug)]
pub struct Convolution<const RANK: usize> {
    filters: usize,
    sliding: Sliding<RANK>,
    groups: usize,
    kernel: WeightOptions,
    output: OutputOptions,
}

impl<const RANK: usize> Convolution<RANK> {
    /// A layer of `filters` outputs that each see a window of `kernel_size`, with Keras' defaults.
    pub fn new(filters: usize, kernel_size: impl Into<Sizes<RANK>>) -> Self {
        Convolution {
            filters,
            sliding: Sliding::new(kernel_size.into().0),
            groups: 1,
            kernel: WeightOptions::new("glorot_uniform"),
            output: OutputOptions::new(),
        }
    }

    /// The number of groups that channels and filters are divided into, so that each filter sees the
    /// channels of its group alone; 1 unless told otherwise.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
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
}

impl<const RANK: usize> Layer for Convolution<RANK> {
    fn class_name(&self) -> &str {
        of_rank::<RANK>(["Conv1D", "Conv2D", "Conv3D"])
    }

    fn flow(&self) -> Flow {
        Flow::Image {
            channels_first: self.sliding.channels_first,
        }
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        require(self.filters > 0, "filters", "at least 1", self.filters)?;
        self.sliding.refuse_strided_dilation()?;
        let channels = self.sliding.check("kernel_size", RANK == 1, inputs)?;
        let divides = |count: usize| self.groups > 0 && count.is_multiple_of(self.groups);
        let fits = divides(channels) && divides(self.filters);
        let expected = format!(
            "a divisor of the {channels} channels and of the {} filters",
            self.filters
        );
        require(fits, "groups", &expected, self.groups)?;
        let mut shape = self.sliding.size.to_vec();
        shape.extend([channels / self.groups, self.filters]);
        let axes = window_axes(RANK, [WeightAxis::Input, WeightAxis::Output]);
        self.kernel.declare("kernel", shape, weights).axes(axes);
        self.output.build(self.filters, weights)
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let output = in_format(inputs[0], self.sliding.channels_first, |x| {
            let window = self.sliding.window_over(x);
            let y = x.convolution(call.weight("kernel"), window, self.groups);
            self.output.add_bias(call, y)
        });
        self.output.activate(call, output)
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = object(json!({
            "filters": self.filters,
            "dilation_rate": self.sliding.dilation_rate.as_slice(),
            "groups": self.groups,
        }));
        self.sliding.write("kernel_size", &mut config);
        self.kernel.write("kernel", &mut config);
        self.output.write(&mut config);
        config
    }
}

impl<const RANK: usize> FromSettings for Convolution<RANK> {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let kernel = [
            "kernel_initializer",
            "kernel_regularizer",
            "kernel_constraint",
        ];
        Ok(Convolution {
            filters: settings.size("filters")?,
            sliding: Sliding::of_convolution(settings)?,
            groups: settings.optional_size("groups")?.unwrap_or(1),
            kernel: WeightOptions::from_settings(settings, kernel, "glorot_uniform")?,
            output: OutputOptions::from_settings(settings)?,
        })
    }
}

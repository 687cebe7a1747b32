//! Convolutions over one, two or three spatial axes.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::convolution_options::{convolution, groups, window_axes};
use super::leading_axes;
use super::padding::Padding;
use super::sliding::Sliding;
use super::spatial::{DataFormat, Sizes, in_format};
use super::support::{adapted_or_quantized, single};
use crate::settings::require;
use crate::{
    Activation, Call, Constraint, Flow, Initializer, Layer, Regularizer, WeightAxis, Weights,
};

/// A [`Convolution`] over `(batch, steps, channels)`.
pub type Conv1D = Convolution<1>;
/// A [`Convolution`] over `(batch, rows, columns, channels)`.
pub type Conv2D = Convolution<2>;
/// A [`Convolution`] over `(batch, depth, rows, columns, channels)`.
pub type Conv3D = Convolution<3>;

settings! {
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
    /// | input | `(batch, …spatial, channels)`; in a file of Keras 2 axes between the batch and those are as samples, as there |
    /// | output | `(batch, …spatial, filters)`, the sizes as [`Padding`] says |
    /// | weights | `kernel` `(…size, channels / groups, filters)`, `bias` `(filters,)` |
    /// | defaults | strides and dilation 1, no padding, 1 group, no activation, Glorot uniform kernel, zero bias |
    /// | frozen | kernel and bias are constants: packed once, without gradient, and a frozen [`BatchNormalization`](crate::layers::BatchNormalization) behind folds into them |
    ///
    /// As in Keras, the window cannot be both strided and dilated.
    /// Keras: <https://keras.io/api/layers/convolution_layers/convolution2d/>.
    #[derive(Clone, Debug)]
    pub struct Convolution<const RANK: usize> as
        "keras.layers.Conv1D", "keras.layers.Conv2D", "keras.layers.Conv3D"
    {
        /// A layer of `filters` outputs that each see a window of `kernel_size`, with Keras' defaults.
        new(filters: usize, kernel_size: Sizes<RANK>)
        filters: usize = filters,
        /// How far the cells that the window sees lie apart; 1 unless told otherwise.
        dilation_rate: Sizes<RANK> = 1,
        /// The number of groups that channels and filters are divided into, so that each filter sees the
        /// channels of its group alone; 1 unless told otherwise.
        groups: usize = 1,
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
    }
}

convolution!(Convolution);

impl<const RANK: usize> Layer for Convolution<RANK> {
    fn flow(&self) -> Flow {
        Flow::Image {
            channels_first: self.data_format.is_channels_first(),
        }
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        require(self.filters > 0, "filters", "at least 1", self.filters)?;
        self.sliding().refuse_strided_dilation()?;
        let input = single(inputs)?;
        let image = match weights.as_keras2 {
            true => leading_axes::without(input, input.rank().saturating_sub(RANK + 2)),
            false => input.clone(),
        };
        let channels = self.sliding().check("kernel_size", RANK == 1, &[image])?;
        let divides = |count: usize| self.groups > 0 && count.is_multiple_of(self.groups);
        let fits = divides(channels) && divides(self.filters);
        let expected = format!(
            "a divisor of the {channels} channels and of the {} filters",
            self.filters
        );
        require(fits, "groups", &expected, self.groups)?;
        let mut shape = self.kernel_size.0.to_vec();
        shape.extend([channels / self.groups, self.filters]);
        let axes = window_axes(RANK, [WeightAxis::Input, WeightAxis::Output]);
        weights
            .parameter("kernel", shape, &self.kernel_initializer)
            .regularizer(&self.kernel_regularizer)
            .constraint(&self.kernel_constraint)
            .axes(axes);
        self.build_output(self.filters, weights)
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.output(call, inputs[0], |x| {
            let window = self.sliding().window_over(x);
            call.product(x, "kernel", |x, kernel| {
                x.convolution(kernel, window, groups(x, kernel))
            })
        })
    }
}

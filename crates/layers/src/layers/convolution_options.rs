//! What all convolutions share besides their kernels: the window, and the bias and the activation at
//! the end.

use regraft_autograd::{Dim, Var};

use crate::WeightAxis;

/// The axes of a window over `rank` axes, and behind them `channels`.
pub(crate) fn window_axes(rank: usize, channels: [WeightAxis; 2]) -> Vec<WeightAxis> {
    let mut axes = vec![WeightAxis::Space; rank];
    axes.extend(channels);
    axes
}

/// Of how many groups a kernel is that is put to `x`: it has the channels of one.
pub(crate) fn groups(x: Var<'_>, kernel: Var<'_>) -> usize {
    let size = |dim: Option<&Dim>| dim.map_or(0, |dim| dim.size(1));
    let (x, kernel) = (x.shape(), kernel.shape());
    let of_group = size(kernel.dims().iter().rev().nth(1));
    // What does not divide is refused by the convolution's own rule.
    (size(x.dims().last()) / of_group.max(1)).max(1)
}

/// What a convolution makes of the settings that all have.
macro_rules! convolution {
    ($layer:ident) => {
        impl<const RANK: usize> $layer<RANK> {
            /// Takes and gives values with the channels first, as Keras does with
            /// `data_format="channels_first"`: they are turned before and after.
            #[must_use]
            pub fn channels_first(mut self) -> Self {
                self.data_format = DataFormat::ChannelsFirst;
                self
            }

            fn sliding(&self) -> Sliding<RANK> {
                Sliding {
                    size: self.kernel_size.0,
                    strides: self.strides.0,
                    padding: self.padding.clone(),
                    dilation_rate: self.dilation_rate.0,
                    channels_first: self.data_format.is_channels_first(),
                }
            }

            /// Declares the bias if there is one, and checks the activation.
            fn build_output(&self, filters: usize, weights: &mut Weights) -> Result<(), Detail> {
                if let Some(activation) = &self.activation {
                    activation.get()?;
                }
                if self.use_bias {
                    weights
                        .parameter("bias", [filters], &self.bias_initializer)
                        .regularizer(&self.bias_regularizer)
                        .constraint(&self.bias_constraint)
                        .axes([WeightAxis::Output]);
                }
                Ok(())
            }

            /// The formula from an input with the channels last to the sums, and behind it the bias,
            /// the activation, wherever the channels are, and the penalty on the output. Axes in front of those that
            /// the window moves along are samples to it.
            fn output<'g>(
                &self,
                call: &Call<'g, '_>,
                x: Var<'g>,
                formula: impl FnOnce(Var<'g>) -> Var<'g>,
            ) -> Var<'g> {
                let biased = |x| match self.use_bias {
                    true => formula(x) + call.weight("bias"),
                    false => formula(x),
                };
                let more = x.shape().rank().saturating_sub(RANK + 2);
                let output = in_format(
                    $crate::layers::leading_axes::joined(x, more),
                    self.data_format.is_channels_first(),
                    biased,
                );
                let mut output = $crate::layers::leading_axes::apart(output, x, more);
                if let Some(activation) = &self.activation {
                    output = activation.apply(output);
                }
                call.activity_penalty(&self.activity_regularizer, output);
                output
            }
        }
    };
}
pub(crate) use convolution;

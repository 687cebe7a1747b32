//! The largest or the mean number of each window.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::padding::Padding;
use super::sliding::Sliding;
use super::spatial::{DataFormat, Sizes, in_format};
use crate::{Call, Flow, Layer, Weights};

/// A [`MaxPooling`] over `(batch, steps, channels)`.
pub type MaxPooling1D = MaxPooling<1>;
/// A [`MaxPooling`] over `(batch, rows, columns, channels)`.
pub type MaxPooling2D = MaxPooling<2>;
/// A [`MaxPooling`] over `(batch, depth, rows, columns, channels)`.
pub type MaxPooling3D = MaxPooling<3>;
/// An [`AveragePooling`] over `(batch, steps, channels)`.
pub type AveragePooling1D = AveragePooling<1>;
/// An [`AveragePooling`] over `(batch, rows, columns, channels)`.
pub type AveragePooling2D = AveragePooling<2>;
/// An [`AveragePooling`] over `(batch, depth, rows, columns, channels)`.
pub type AveragePooling3D = AveragePooling<3>;

/// Defines one of the two.
macro_rules! pooling {
    ($(#[$documentation:meta])* $name:ident, $($class:literal),+; $apply:ident) => {
        settings! {
            $(#[$documentation])*
            ///
            /// | | |
            /// |---|---|
            /// | input | `(batch, …spatial, channels)` |
            /// | output | `(batch, …spatial, channels)`, the sizes as [`Padding`] says |
            /// | weights | none; being frozen changes nothing |
            /// | defaults | windows of 2 that move by their size, no padding |
            ///
            /// Keras: <https://keras.io/api/layers/pooling_layers/>.
            #[derive(Clone, Debug)]
            pub struct $name<const RANK: usize> as $($class),+ {
                /// A layer with windows of `pool_size` that move by their size.
                new(pool_size: Sizes<RANK> = 2)
                pool_size: Sizes<RANK> = pool_size,
                /// How far the window moves along each axis.
                strides: Sizes<RANK> = pool_size,
                /// What happens at the borders: `"valid"` unless told otherwise, or `"same"`.
                padding: Padding = Padding::Valid,
                data_format: DataFormat = DataFormat::ChannelsLast,
            }
        }

        impl<const RANK: usize> $name<RANK> {
            /// Takes and gives values with the channels first, as Keras does with
            /// `data_format="channels_first"`: they are turned before and after.
            #[must_use]
            pub fn channels_first(mut self) -> Self {
                self.data_format = DataFormat::ChannelsFirst;
                self
            }

            fn sliding(&self) -> Sliding<RANK> {
                Sliding {
                    size: self.pool_size.0,
                    strides: self.strides.0,
                    padding: self.padding.clone(),
                    dilation_rate: [1; RANK],
                    channels_first: self.data_format.is_channels_first(),
                }
            }
        }

        impl<const RANK: usize> Layer for $name<RANK> {
            fn flow(&self) -> Flow {
                Flow::Image { channels_first: self.data_format.is_channels_first() }
            }

            fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
                self.sliding().check("pool_size", false, inputs).map(|_| ())
            }

            fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
                in_format(inputs[0], self.data_format.is_channels_first(), |x| {
                    x.$apply(self.sliding().window_over(x))
                })
            }
        }
    };
}

pooling!(
    /// The largest number that the window sees of each channel.
    MaxPooling,
    "keras.layers.MaxPooling1D", "keras.layers.MaxPooling2D", "keras.layers.MaxPooling3D"; max_pool
);
pooling!(
    /// The mean of the numbers that the window sees of each channel; cells outside the input do not
    /// count.
    AveragePooling,
    "keras.layers.AveragePooling1D", "keras.layers.AveragePooling2D", "keras.layers.AveragePooling3D"; average_pool
);

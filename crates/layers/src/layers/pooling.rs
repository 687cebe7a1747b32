//! The largest or the mean number of each window.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::padding::Padding;
use super::sliding::Sliding;
use super::spatial::{Sizes, in_format, of_rank};
use crate::settings::{FromSettings, Settings};
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
    ($(#[$documentation:meta])* $name:ident, $class_names:expr, $apply:ident) => {
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
        pub struct $name<const RANK: usize> {
            sliding: Sliding<RANK>,
        }

        impl<const RANK: usize> $name<RANK> {
            /// A layer with windows of `pool_size` that move by their size.
            pub fn new(pool_size: impl Into<Sizes<RANK>>) -> Self {
                let size = pool_size.into().0;
                let mut sliding = Sliding::new(size);
                sliding.strides = size;
                $name { sliding }
            }

            /// How far the window moves along each axis.
            #[must_use]
            pub fn strides(mut self, strides: impl Into<Sizes<RANK>>) -> Self {
                self.sliding.strides = strides.into().0;
                self
            }

            /// What happens at the borders: `"valid"` unless told otherwise, or `"same"`.
            #[must_use]
            pub fn padding(mut self, padding: impl Into<Padding>) -> Self {
                self.sliding.padding = padding.into();
                self
            }

            /// Takes and gives values with the channels first, as Keras does with
            /// `data_format="channels_first"`: they are turned before and after.
            #[must_use]
            pub fn channels_first(mut self) -> Self {
                self.sliding.channels_first = true;
                self
            }
        }

        impl<const RANK: usize> Default for $name<RANK> {
            fn default() -> Self {
                $name::new(2)
            }
        }

        impl<const RANK: usize> Layer for $name<RANK> {
            fn class_name(&self) -> &str {
                of_rank::<RANK>($class_names)
            }

            fn flow(&self) -> Flow {
                Flow::Image { channels_first: self.sliding.channels_first }
            }

            fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
                self.sliding.check("pool_size", false, inputs).map(|_| ())
            }

            fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
                in_format(inputs[0], self.sliding.channels_first, |x| {
                    x.$apply(self.sliding.window_over(x))
                })
            }

            fn config(&self) -> Map<String, Value> {
                let mut config = Map::new();
                self.sliding.write("pool_size", &mut config);
                config
            }
        }

        impl<const RANK: usize> FromSettings for $name<RANK> {
            fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
                Ok($name {
                    sliding: Sliding::of_pooling(settings)?,
                })
            }
        }
    };
}

pooling!(
    /// The largest number that the window sees of each channel.
    MaxPooling, ["MaxPooling1D", "MaxPooling2D", "MaxPooling3D"], max_pool
);
pooling!(
    /// The mean of the numbers that the window sees of each channel; cells outside the input do not
    /// count.
    AveragePooling, ["AveragePooling1D", "AveragePooling2D", "AveragePooling3D"], average_pool
);

//! The largest or the mean number of each channel.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::spatial::{DataFormat, image};
use crate::{Call, Flow, Layer, Weights};

/// A [`GlobalMaxPooling`] over `(batch, steps, channels)`.
pub type GlobalMaxPooling1D = GlobalMaxPooling<1>;
/// A [`GlobalMaxPooling`] over `(batch, rows, columns, channels)`.
pub type GlobalMaxPooling2D = GlobalMaxPooling<2>;
/// A [`GlobalMaxPooling`] over `(batch, depth, rows, columns, channels)`.
pub type GlobalMaxPooling3D = GlobalMaxPooling<3>;
/// A [`GlobalAveragePooling`] over `(batch, steps, channels)`.
pub type GlobalAveragePooling1D = GlobalAveragePooling<1>;
/// A [`GlobalAveragePooling`] over `(batch, rows, columns, channels)`.
pub type GlobalAveragePooling2D = GlobalAveragePooling<2>;
/// A [`GlobalAveragePooling`] over `(batch, depth, rows, columns, channels)`.
pub type GlobalAveragePooling3D = GlobalAveragePooling<3>;

/// Defines one of the two.
macro_rules! global_pooling {
    ($(#[$documentation:meta])* $name:ident, $($class:literal),+; $apply:ident, $keeping:ident, $masked:expr) => {
        settings! {
            $(#[$documentation])*
            ///
            /// Input `(batch, …spatial, channels)`, output `(batch, channels)`, or with
            /// [`keep_dims`](Self::keep_dims) `(batch, 1, …, channels)`. There are no weights; being frozen
            /// changes nothing.
            ///
            /// Keras: <https://keras.io/api/layers/pooling_layers/>.
            #[derive(Clone, Copy, Debug)]
            pub struct $name<const RANK: usize> as $($class),+ {
                /// A layer that leaves the spatial axes out.
                new()
                data_format: DataFormat = DataFormat::ChannelsLast,
                /// Whether the spatial axes stay, with size 1 (Keras' `keepdims`).
                keep_dims as "keepdims": bool = false,
            }
        }

        impl<const RANK: usize> $name<RANK> {
            /// Takes values with the channels first, as Keras does with
            /// `data_format="channels_first"`.
            #[must_use]
            pub fn channels_first(mut self) -> Self {
                self.data_format = DataFormat::ChannelsFirst;
                self
            }
        }

        impl<const RANK: usize> Layer for $name<RANK> {
            fn flow(&self) -> Flow {
                Flow::Image { channels_first: self.data_format.is_channels_first() }
            }

            fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
                let (sizes, _) = image::<RANK>(inputs, self.data_format.is_channels_first())?;
                match sizes.contains(&0) {
                    false => Ok(()),
                    true => Err(Detail::new("", "at least 1 cell", &inputs[0])),
                }
            }

            fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
                let masked: Option<Masked> = $masked;
                if let (1, Some(masked), Some(mask)) = (RANK, masked, call.mask(0)) {
                    let steps = if self.data_format.is_channels_first() { 2 } else { 1 };
                    return masked(inputs[0], mask, steps, self.keep_dims);
                }
                let first = if self.data_format.is_channels_first() { 2 } else { 1 };
                let axes: Vec<usize> = (first..first + RANK).collect();
                match self.keep_dims {
                    true => inputs[0].$keeping(&axes),
                    false => inputs[0].$apply(&axes),
                }
            }
        }
    };
}

global_pooling!(
    /// The largest number of each channel.
    GlobalMaxPooling,
    "keras.layers.GlobalMaxPooling1D", "keras.layers.GlobalMaxPooling2D", "keras.layers.GlobalMaxPooling3D";
    max, max_keeping, None
);
global_pooling!(
    /// The mean of each channel; over steps, of those that the mask says count.
    GlobalAveragePooling,
    "keras.layers.GlobalAveragePooling1D", "keras.layers.GlobalAveragePooling2D", "keras.layers.GlobalAveragePooling3D";
    mean, mean_keeping, Some(mean_of_counting)
);

/// A function of a value, its mask, the axis of its steps, and whether that stays with size 1.
type Masked = for<'g> fn(Var<'g>, Var<'g>, usize, bool) -> Var<'g>;

/// The mean over the steps that count; of none it is 0/0, as in Keras.
fn mean_of_counting<'g>(x: Var<'g>, mask: Var<'g>, steps: usize, keep: bool) -> Var<'g> {
    // (batch, steps) along the channels, which are the other of the two axes.
    let mask = mask.expand_dims(3 - steps);
    let counting = mask.select(x, 0.0);
    match keep {
        true => counting.sum_keeping(&[steps]) / mask.sum_keeping(&[steps]),
        false => counting.sum(&[steps]) / mask.sum(&[steps]),
    }
}

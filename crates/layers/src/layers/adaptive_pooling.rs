//! The largest or the mean number of each of so many windows, whatever the size of the input.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use regraft_tensor::kernels::window::Window;

use super::spatial::{DataFormat, Sizes, image, in_format, require_sizes};
use crate::{Call, Flow, Layer, Weights};

/// An [`AdaptiveMaxPooling`] over `(batch, steps, channels)`.
pub type AdaptiveMaxPooling1D = AdaptiveMaxPooling<1>;
/// An [`AdaptiveMaxPooling`] over `(batch, rows, columns, channels)`.
pub type AdaptiveMaxPooling2D = AdaptiveMaxPooling<2>;
/// An [`AdaptiveMaxPooling`] over `(batch, depth, rows, columns, channels)`.
pub type AdaptiveMaxPooling3D = AdaptiveMaxPooling<3>;
/// An [`AdaptiveAveragePooling`] over `(batch, steps, channels)`.
pub type AdaptiveAveragePooling1D = AdaptiveAveragePooling<1>;
/// An [`AdaptiveAveragePooling`] over `(batch, rows, columns, channels)`.
pub type AdaptiveAveragePooling2D = AdaptiveAveragePooling<2>;
/// An [`AdaptiveAveragePooling`] over `(batch, depth, rows, columns, channels)`.
pub type AdaptiveAveragePooling3D = AdaptiveAveragePooling<3>;

/// Where the windows begin along an axis of `input` cells, and how many cells each has: window i of
/// `output` is from ⌊i · input / output⌋ to below ⌈(i + 1) · input / output⌉.
fn windows(input: usize, output: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..output).map(move |index| {
        let begin = index * input / output;
        (begin, ((index + 1) * input).div_ceil(output) - begin)
    })
}

/// `pool` with a window of each of these along one axis after the other: as in Keras with one of the smaller
/// size at every cell and one of the larger, of which those that are meant are taken.
pub(super) fn pooled_to<'g>(
    mut x: Var<'g>,
    output_size: &[usize],
    pool: impl Fn(Var<'g>, Window) -> Var<'g>,
) -> Var<'g> {
    for (axis, &output) in output_size.iter().enumerate() {
        let input = x.shape().dims()[axis + 1].size(0);
        let of_size = |cells: usize| {
            let mut size = vec![1; output_size.len()];
            size[axis] = cells;
            pool(x, Window::new(&size))
        };
        let small = input.div_ceil(output);
        let place = |(begin, cells): (usize, usize)| match cells == small {
            true => begin,
            false => input - small + 1 + begin,
        };
        let places: Vec<usize> = windows(input, output).map(place).collect();
        let mut pooled = of_size(small);
        if windows(input, output).any(|(_, cells)| cells > small) {
            pooled = x
                .graph()
                .concatenate(&[pooled, of_size(small + 1)], axis + 1);
        }
        x = pooled.pick(axis + 1, places);
    }
    x
}

/// Defines one of the two.
macro_rules! adaptive_pooling {
    ($(#[$documentation:meta])* $name:ident, $($class:literal),+; $apply:ident) => {
        settings! {
            $(#[$documentation])*
            ///
            /// Of n cells along an axis, window i of m is from ⌊i · n / m⌋ to below ⌈(i + 1) · n / m⌉.
            ///
            /// | | |
            /// |---|---|
            /// | input | `(batch, …spatial, channels)` |
            /// | output | `(batch, …output_size, channels)` |
            /// | weights | none; being frozen changes nothing |
            /// | mask | dropped |
            ///
            /// Keras: <https://keras.io/api/layers/pooling_layers/>.
            #[derive(Clone, Debug)]
            pub struct $name<const RANK: usize> as $($class),+ {
                /// A layer that gives `output_size` cells.
                new(output_size: Sizes<RANK>)
                output_size: Sizes<RANK> = output_size,
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
        }

        impl<const RANK: usize> Layer for $name<RANK> {
            fn flow(&self) -> Flow {
                Flow::Image { channels_first: self.data_format.is_channels_first() }
            }

            fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
                require_sizes("output_size", &self.output_size.0)?;
                let (sizes, _) = image::<RANK>(inputs, self.data_format.is_channels_first())?;
                match sizes.contains(&0) {
                    false => Ok(()),
                    true => Err(Detail::new("", "at least 1 cell", &inputs[0])),
                }
            }

            fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
                in_format(inputs[0], self.data_format.is_channels_first(), |x| {
                    pooled_to(x, &self.output_size.0, |x, window| x.$apply(window))
                })
            }
        }
    };
}

adaptive_pooling!(
    /// The largest number of each channel in each of so many windows.
    AdaptiveMaxPooling,
    "keras.layers.AdaptiveMaxPooling1D", "keras.layers.AdaptiveMaxPooling2D", "keras.layers.AdaptiveMaxPooling3D";
    max_pool
);
adaptive_pooling!(
    /// The mean of each channel in each of so many windows.
    AdaptiveAveragePooling,
    "keras.layers.AdaptiveAveragePooling1D", "keras.layers.AdaptiveAveragePooling2D", "keras.layers.AdaptiveAveragePooling3D";
    average_pool
);

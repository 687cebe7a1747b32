//! Dropping whole feature maps at random while training.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;

use super::dropout::{drop, require_probability};
use super::spatial::DataFormat;
use super::support::of_rank;
use crate::{Call, Flow, Layer, Weights};

/// Defines the layer for one number of spatial axes.
macro_rules! spatial_dropout {
    ($name:ident, $class:literal, $rank:literal, $shape:literal, $page:literal) => {
        settings! {
            #[doc = concat!("[`Dropout`](crate::layers::Dropout) of whole channels of inputs `", $shape, "`: while it")]
            /// trains, each channel of a sample is zero everywhere with probability `rate`, and the others
            /// are multiplied by `1 / (1 − rate)`; otherwise `y = x`.
            ///
            /// The output has the input's shape. There are no weights. Frozen, it drops nothing.
            ///
            #[doc = concat!("Tompson et al. 2014. Keras: <https://keras.io/api/layers/regularization_layers/", $page, "/>.")]
            #[derive(Clone, Debug)]
            pub struct $name as $class without trainable {
                /// A layer that drops each channel with probability `rate`.
                new(rate: f32 = 0.5)
                rate: f32 = rate,
                /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
                /// position.
                seed: Option<u64> = None,
                data_format: DataFormat = DataFormat::ChannelsLast,
            }
            reading |settings, _it| {
                // Keras' constructor of the one-dimensional class takes no format.
                if $rank == 3 {
                    settings.forget("data_format");
                }
            }
            writing |_it, config| {
                if $rank == 3 {
                    config.shift_remove("data_format");
                }
            }
        }

        impl Layer for $name {
            fn flow(&self) -> Flow {
                Flow::Keeps
            }

            fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
                require_probability(self.rate)?;
                of_rank(inputs, $rank).map(|_| ())
            }

            fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
                let x = inputs[0];
                let channels = if self.data_format.is_channels_first() { 1 } else { $rank - 1 };
                let mask = mask(&x.shape(), channels);
                drop(call, x, mask, self.rate, self.seed)
            }

            fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
                call.mask(0)
            }
        }
    };
}

spatial_dropout!(
    SpatialDropout1D,
    "keras.layers.SpatialDropout1D",
    3,
    "(batch, steps, channels)",
    "spatial_dropout1d"
);
spatial_dropout!(
    SpatialDropout2D,
    "keras.layers.SpatialDropout2D",
    4,
    "(batch, rows, columns, channels)",
    "spatial_dropout2d"
);
spatial_dropout!(
    SpatialDropout3D,
    "keras.layers.SpatialDropout3D",
    5,
    "(batch, depth, rows, columns, channels)",
    "spatial_dropout3d"
);

/// The shape of a mask with one element for each channel of each sample.
fn mask(x: &Shape, channels: usize) -> Shape {
    let size = |(axis, dim): (usize, &Dim)| match axis == 0 || axis == channels {
        true => *dim,
        false => Dim::Fixed(1),
    };
    x.dims().iter().enumerate().map(size).collect()
}

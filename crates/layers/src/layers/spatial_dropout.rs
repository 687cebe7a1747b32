//! Dropping whole feature maps at random while training.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::dropout::{drop, require_probability};
use super::support::{object, of_rank};
use crate::settings::{FromSettings, Settings, number};
use crate::{Call, Flow, Layer, Weights};

/// Defines the layer for one number of spatial axes.
macro_rules! spatial_dropout {
    ($name:ident, $class_name:literal, $rank:literal, $shape:literal, $page:literal, $format:expr) => {
        #[doc = concat!("[`Dropout`](crate::layers::Dropout) of whole channels of inputs `", $shape, "`: while it")]
        /// trains, each channel of a sample is zero everywhere with probability `rate`, and the others
        /// are multiplied by `1 / (1 − rate)`; otherwise `y = x`.
        ///
        /// The output has the input's shape. There are no weights. Frozen, it drops nothing.
        ///
        #[doc = concat!("Tompson et al. 2014. Keras: <https://keras.io/api/layers/regularization_layers/", $page, "/>.")]
        #[derive(Clone, Debug)]
        pub struct $name {
            rate: f32,
            channels_first: bool,
            seed: Option<u64>,
        }

        impl $name {
            /// A layer that drops each channel with probability `rate`.
            pub fn new(rate: f32) -> Self {
                $name {
                    rate,
                    channels_first: false,
                    seed: None,
                }
            }

            /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
            /// position.
            #[must_use]
            pub fn seed(mut self, seed: u64) -> Self {
                self.seed = Some(seed);
                self
            }
        }

        impl Layer for $name {
            fn class_name(&self) -> &str {
                $class_name
            }

            fn flow(&self) -> Flow {
                Flow::Keeps
            }

            fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
                require_probability(self.rate)?;
                of_rank(inputs, $rank).map(|_| ())
            }

            fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
                let x = inputs[0];
                let channels = if self.channels_first { 1 } else { $rank - 1 };
                let mask = mask(&x.shape(), channels);
                drop(call, x, mask, self.rate, self.seed)
            }

            fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
                call.mask(0)
            }

            fn config(&self) -> Map<String, Value> {
                let mut config = object(json!({
                    "rate": number(self.rate),
                    "seed": self.seed,
                }));
                // Keras' constructor of the one-dimensional class takes no format.
                if $format {
                    let format = if self.channels_first { "channels_first" } else { "channels_last" };
                    config.insert("data_format".into(), format.into());
                }
                config
            }

            fn has_trainable_setting(&self) -> bool {
                false
            }
        }

        impl FromSettings for $name {
            fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
                Ok($name {
                    rate: settings.number("rate", 0.5)?,
                    channels_first: $format && !settings.channels_last()?,
                    seed: settings.seed()?,
                })
            }
        }
    };
}

spatial_dropout!(
    SpatialDropout1D,
    "SpatialDropout1D",
    3,
    "(batch, steps, channels)",
    "spatial_dropout1d",
    false
);
spatial_dropout!(
    SpatialDropout2D,
    "SpatialDropout2D",
    4,
    "(batch, rows, columns, channels)",
    "spatial_dropout2d",
    true
);
spatial_dropout!(
    SpatialDropout3D,
    "SpatialDropout3D",
    5,
    "(batch, depth, rows, columns, channels)",
    "spatial_dropout3d",
    true
);

/// The shape of a mask with one element for each channel of each sample.
fn mask(x: &Shape, channels: usize) -> Shape {
    let size = |(axis, dim): (usize, &Dim)| match axis == 0 || axis == channels {
        true => *dim,
        false => Dim::Fixed(1),
    };
    x.dims().iter().enumerate().map(size).collect()
}

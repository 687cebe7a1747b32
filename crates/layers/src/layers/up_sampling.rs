//! Inputs with more cells, each repeated or with others between them.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::interpolation::Interpolation;
use super::spatial::{Sizes, data_format, image, in_format, of_rank, require_sizes, spatial_sizes};
use super::support::object;
use crate::settings::{FromSettings, Settings};
use crate::{Call, Flow, Layer, Weights};

/// An [`UpSampling`] of `(batch, steps, channels)`.
pub type UpSampling1D = UpSampling<1>;
/// An [`UpSampling`] of `(batch, rows, columns, channels)`.
pub type UpSampling2D = UpSampling<2>;
/// An [`UpSampling`] of `(batch, depth, rows, columns, channels)`.
pub type UpSampling3D = UpSampling<3>;

/// Makes the spatial axes `size` times as long by repeating each cell; of images, also by
/// interpolation.
///
/// Input and output `(batch, …spatial, channels)`; the factor is 2 by default. There are no weights;
/// being frozen changes nothing.
/// Keras: <https://keras.io/api/layers/reshaping_layers/up_sampling2d/>.
#[derive(Clone, Debug)]
pub struct UpSampling<const RANK: usize> {
    size: [usize; RANK],
    interpolation: Interpolation,
    channels_first: bool,
}

impl<const RANK: usize> UpSampling<RANK> {
    /// A layer that repeats each cell `size` times along each axis.
    pub fn new(size: impl Into<Sizes<RANK>>) -> Self {
        UpSampling {
            size: size.into().0,
            interpolation: Interpolation::Nearest,
            channels_first: false,
        }
    }

    /// Takes and gives values with the channels first, as Keras does with
    /// `data_format="channels_first"` (which it has for two and three axes alone).
    #[must_use]
    pub fn channels_first(mut self) -> Self {
        self.channels_first = true;
        self
    }

    /// The sizes that a spatial size of `input` gives.
    fn output(&self, input: [usize; RANK]) -> [usize; RANK] {
        std::array::from_fn(|axis| input[axis].saturating_mul(self.size[axis]))
    }
}

impl UpSampling<2> {
    /// What stands in the new cells: `"nearest"` unless told otherwise, which repeats, or what is
    /// between their neighbours, `"bilinear"` or `"bicubic"`.
    #[must_use]
    pub fn interpolation(mut self, interpolation: impl Into<Interpolation>) -> Self {
        self.interpolation = interpolation.into();
        self
    }
}

impl<const RANK: usize> Default for UpSampling<RANK> {
    fn default() -> Self {
        UpSampling::new(2)
    }
}

impl<const RANK: usize> Layer for UpSampling<RANK> {
    fn class_name(&self) -> &str {
        of_rank::<RANK>(["UpSampling1D", "UpSampling2D", "UpSampling3D"])
    }

    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        require_sizes("size", &self.size)?;
        self.interpolation.check()?;
        let (sizes, _) = image::<RANK>(inputs, self.channels_first)?;
        match self.output(sizes).contains(&usize::MAX) {
            false => Ok(()),
            true => Err(Detail::new(
                "size",
                "a smaller factor",
                format!("{:?}", self.size),
            )),
        }
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        in_format(inputs[0], self.channels_first, |x| {
            let size = self.output(spatial_sizes(x));
            match (&self.interpolation, size.as_slice()) {
                (Interpolation::Nearest, _) => x.upsample(&self.size),
                (interpolation, [rows, columns]) => {
                    interpolation.resize(x, [*rows, *columns], false)
                }
                _ => x,
            }
        })
    }

    fn config(&self) -> Map<String, Value> {
        // Keras' one-dimensional class has a plain number, and no format.
        if let [size] = self.size.as_slice() {
            return object(json!({ "size": size }));
        }
        let mut config = object(json!({
            "size": self.size.as_slice(),
            "data_format": data_format(self.channels_first),
        }));
        if RANK == 2 {
            config.insert("interpolation".into(), self.interpolation.name().into());
        }
        config
    }
}

impl<const RANK: usize> FromSettings for UpSampling<RANK> {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let interpolation = match RANK {
            2 => settings.text("interpolation", "nearest")?.into(),
            _ => Interpolation::Nearest,
        };
        Ok(UpSampling {
            interpolation,
            size: settings.sizes("size")?.unwrap_or([2; RANK]),
            channels_first: RANK > 1 && !settings.channels_last()?,
        })
    }
}

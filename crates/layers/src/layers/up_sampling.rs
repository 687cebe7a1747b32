//! Inputs with more cells, each repeated or with others between them.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::interpolation::Interpolation;
use super::spatial::{DataFormat, Sizes, image, in_format, require_sizes, spatial_sizes};
use crate::{Call, Flow, Layer, Weights};

/// An [`UpSampling`] of `(batch, steps, channels)`.
pub type UpSampling1D = UpSampling<1>;
/// An [`UpSampling`] of `(batch, rows, columns, channels)`.
pub type UpSampling2D = UpSampling<2>;
/// An [`UpSampling`] of `(batch, depth, rows, columns, channels)`.
pub type UpSampling3D = UpSampling<3>;

settings! {
    /// Makes the spatial axes `size` times as long by repeating each cell; of images, also by
    /// interpolation.
    ///
    /// Input and output `(batch, …spatial, channels)`; the factor is 2 by default. There are no weights;
    /// being frozen changes nothing.
    /// Keras: <https://keras.io/api/layers/reshaping_layers/up_sampling2d/>.
    #[derive(Clone, Debug)]
    pub struct UpSampling<const RANK: usize> as
        "keras.layers.UpSampling1D", "keras.layers.UpSampling2D", "keras.layers.UpSampling3D"
    {
        /// A layer that repeats each cell `size` times along each axis.
        new(size: Sizes<RANK> = 2)
        size: Sizes<RANK> = size,
        data_format: DataFormat = DataFormat::ChannelsLast,
        interpolation: Interpolation = Interpolation::Nearest,
    }
    reading |settings, _it| {
        // What Keras' classes take.
        if RANK == 1 {
            settings.forget("data_format");
        }
        if RANK != 2 {
            settings.forget("interpolation");
        }
    }
    writing |it, config| {
        if let [size] = it.size.0.as_slice() {
            config["size"] = (*size).into();
            config.shift_remove("data_format");
        }
        if RANK != 2 {
            config.shift_remove("interpolation");
        }
    }
}

impl<const RANK: usize> UpSampling<RANK> {
    /// Takes and gives values with the channels first, as Keras does with
    /// `data_format="channels_first"` (which it has for two and three axes alone).
    #[must_use]
    pub fn channels_first(mut self) -> Self {
        self.data_format = DataFormat::ChannelsFirst;
        self
    }

    /// The sizes that a spatial size of `input` gives.
    fn output(&self, input: [usize; RANK]) -> [usize; RANK] {
        std::array::from_fn(|axis| input[axis].saturating_mul(self.size.0[axis]))
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

impl<const RANK: usize> Layer for UpSampling<RANK> {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        require_sizes("size", &self.size.0)?;
        self.interpolation.check()?;
        let (sizes, _) = image::<RANK>(inputs, self.data_format.is_channels_first())?;
        match self.output(sizes).contains(&usize::MAX) {
            false => Ok(()),
            true => Err(Detail::new(
                "size",
                "a smaller factor",
                format!("{:?}", self.size.0),
            )),
        }
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        in_format(inputs[0], self.data_format.is_channels_first(), |x| {
            let size = self.output(spatial_sizes(x));
            match (&self.interpolation, size.as_slice()) {
                (Interpolation::Nearest, _) => x.upsample(&self.size.0),
                (interpolation, [rows, columns]) => {
                    interpolation.resize(x, [*rows, *columns], false)
                }
                _ => x,
            }
        })
    }
}

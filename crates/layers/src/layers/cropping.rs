//! Inputs without their borders.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::spatial::{Borders, DataFormat, image, require_cells};
use crate::{Call, Flow, Layer, Weights};

/// A [`Cropping`] of `(batch, steps, channels)`.
pub type Cropping1D = Cropping<1>;
/// A [`Cropping`] of `(batch, rows, columns, channels)`.
pub type Cropping2D = Cropping<2>;
/// A [`Cropping`] of `(batch, depth, rows, columns, channels)`.
pub type Cropping3D = Cropping<3>;

settings! {
    /// Cuts off borders: `Cropping2D::new([[1, 2], [3, 4]])` one row above, two below, three columns on
    /// the left and four on the right; `Cropping2D::new(1)` one on every side.
    ///
    /// Input and output `(batch, …spatial, channels)`, the spatial sizes smaller by the border, of which
    /// at least 1 must be left. There are no weights; being frozen changes nothing.
    /// Keras: <https://keras.io/api/layers/reshaping_layers/cropping2d/>.
    #[derive(Clone, Copy, Debug)]
    pub struct Cropping<const RANK: usize> as
        "keras.layers.Cropping1D", "keras.layers.Cropping2D", "keras.layers.Cropping3D"
    {
        /// A layer that cuts off this border.
        new(cropping: Borders<RANK> = if RANK == 2 { 0 } else { 1 })
        cropping: Borders<RANK> = cropping,
        data_format: DataFormat = DataFormat::ChannelsLast,
    }
    reading |settings, _it| {
        // Keras' constructor of the one-dimensional class takes no format.
        if RANK == 1 {
            settings.forget("data_format");
        }
    }
    writing |_it, config| {
        if RANK == 1 {
            config.shift_remove("data_format");
        }
    }
}

impl<const RANK: usize> Cropping<RANK> {
    /// Takes and gives values with the channels first, as Keras does with
    /// `data_format="channels_first"` (which it has for two and three axes alone).
    #[must_use]
    pub fn channels_first(mut self) -> Self {
        self.data_format = DataFormat::ChannelsFirst;
        self
    }
}

impl<const RANK: usize> Layer for Cropping<RANK> {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        require_cells("cropping", 0, self.cropping.0.as_flattened())?;
        let (sizes, _) = image::<RANK>(inputs, self.data_format.is_channels_first())?;
        let mut axes = sizes.iter().zip(&self.cropping.0);
        match axes.all(|(size, [before, after])| before + after < *size) {
            true => Ok(()),
            false => {
                let expected = format!("less than all of {}", inputs[0]);
                let received = format!("{:?}", self.cropping.0);
                Err(Detail::new("cropping", expected, received))
            }
        }
    }

    fn takes_any_type(&self) -> bool {
        true
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        inputs[0].crop(
            &self
                .cropping
                .of_all_axes(self.data_format.is_channels_first()),
        )
    }
}

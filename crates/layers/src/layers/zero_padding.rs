//! A border of zeros.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::spatial::{Borders, DataFormat, image, require_cells};
use crate::{Call, Flow, Layer, Weights};

/// A [`ZeroPadding`] of `(batch, steps, channels)`.
pub type ZeroPadding1D = ZeroPadding<1>;
/// A [`ZeroPadding`] of `(batch, rows, columns, channels)`.
pub type ZeroPadding2D = ZeroPadding<2>;
/// A [`ZeroPadding`] of `(batch, depth, rows, columns, channels)`.
pub type ZeroPadding3D = ZeroPadding<3>;

settings! {
    /// Puts zeros around: `ZeroPadding2D::new([[1, 2], [3, 4]])` one row above, two below, three columns
    /// to the left and four to the right; `ZeroPadding2D::new(1)` one on every side.
    ///
    /// Input and output `(batch, …spatial, channels)`, the spatial sizes larger by the border. There are
    /// no weights; being frozen changes nothing.
    /// Keras: <https://keras.io/api/layers/reshaping_layers/zero_padding2d/>.
    #[derive(Clone, Copy, Debug)]
    pub struct ZeroPadding<const RANK: usize> as
        "keras.layers.ZeroPadding1D", "keras.layers.ZeroPadding2D", "keras.layers.ZeroPadding3D"
    {
        /// A layer with this border.
        new(padding: Borders<RANK> = 1)
        padding: Borders<RANK> = padding,
        data_format: DataFormat = DataFormat::ChannelsLast,
    }
}

impl<const RANK: usize> ZeroPadding<RANK> {
    /// Takes and gives values with the channels first, as Keras does with
    /// `data_format="channels_first"`.
    #[must_use]
    pub fn channels_first(mut self) -> Self {
        self.data_format = DataFormat::ChannelsFirst;
        self
    }
}

impl<const RANK: usize> Layer for ZeroPadding<RANK> {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        require_cells("padding", 0, self.padding.0.as_flattened())?;
        image::<RANK>(inputs, self.data_format.is_channels_first()).map(|_| ())
    }

    fn takes_any_type(&self) -> bool {
        true
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        inputs[0].pad(
            &self
                .padding
                .of_all_axes(self.data_format.is_channels_first()),
            0.0,
        )
    }
}

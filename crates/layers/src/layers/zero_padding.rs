//! A border of zeros.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::spatial::{Borders, data_format, image, of_rank, require_cells};
use super::support::object;
use crate::settings::{FromSettings, Settings};
use crate::{Call, Flow, Layer, Weights};

/// A [`ZeroPadding`] of `(batch, steps, channels)`.
pub type ZeroPadding1D = ZeroPadding<1>;
/// A [`ZeroPadding`] of `(batch, rows, columns, channels)`.
pub type ZeroPadding2D = ZeroPadding<2>;
/// A [`ZeroPadding`] of `(batch, depth, rows, columns, channels)`.
pub type ZeroPadding3D = ZeroPadding<3>;

/// Puts zeros around: `ZeroPadding2D::new([[1, 2], [3, 4]])` one row above, two below, three columns
/// to the left and four to the right; `ZeroPadding2D::new(1)` one on every side.
///
/// Input and output `(batch, …spatial, channels)`, the spatial sizes larger by the border. There are
/// no weights; being frozen changes nothing.
/// Keras: <https://keras.io/api/layers/reshaping_layers/zero_padding2d/>.
#[derive(Clone, Copy, Debug)]
pub struct ZeroPadding<const RANK: usize> {
    padding: Borders<RANK>,
    channels_first: bool,
}

impl<const RANK: usize> ZeroPadding<RANK> {
    /// A layer with this border.
    pub fn new(padding: impl Into<Borders<RANK>>) -> Self {
        ZeroPadding {
            padding: padding.into(),
            channels_first: false,
        }
    }

    /// Takes and gives values with the channels first, as Keras does with
    /// `data_format="channels_first"`.
    #[must_use]
    pub fn channels_first(mut self) -> Self {
        self.channels_first = true;
        self
    }
}

impl<const RANK: usize> Layer for ZeroPadding<RANK> {
    fn class_name(&self) -> &str {
        of_rank::<RANK>(["ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"])
    }

    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        require_cells("padding", 0, self.padding.0.as_flattened())?;
        image::<RANK>(inputs, self.channels_first).map(|_| ())
    }

    fn takes_any_type(&self) -> bool {
        true
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        inputs[0].pad(&self.padding.of_all_axes(self.channels_first), 0.0)
    }

    fn config(&self) -> Map<String, Value> {
        object(json!({
            "padding": self.padding.serialize(),
            "data_format": data_format(self.channels_first),
        }))
    }
}

impl<const RANK: usize> FromSettings for ZeroPadding<RANK> {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(ZeroPadding {
            padding: settings.borders("padding")?.unwrap_or(Borders::from(1)),
            channels_first: !settings.channels_last()?,
        })
    }
}

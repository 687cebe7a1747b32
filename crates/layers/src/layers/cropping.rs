//! Inputs without their borders.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::spatial::{Borders, data_format, image, of_rank, require_cells};
use super::support::object;
use crate::settings::{FromSettings, Settings};
use crate::{Call, Flow, Layer, Weights};

/// A [`Cropping`] of `(batch, steps, channels)`.
pub type Cropping1D = Cropping<1>;
/// A [`Cropping`] of `(batch, rows, columns, channels)`.
pub type Cropping2D = Cropping<2>;
/// A [`Cropping`] of `(batch, depth, rows, columns, channels)`.
pub type Cropping3D = Cropping<3>;

/// Cuts off borders: `Cropping2D::new([[1, 2], [3, 4]])` one row above, two below, three columns on
/// the left and four on the right; `Cropping2D::new(1)` one on every side.
///
/// Input and output `(batch, …spatial, channels)`, the spatial sizes smaller by the border, of which
/// at least 1 must be left. There are no weights; being frozen changes nothing.
/// Keras: <https://keras.io/api/layers/reshaping_layers/cropping2d/>.
#[derive(Clone, Copy, Debug)]
pub struct Cropping<const RANK: usize> {
    cropping: Borders<RANK>,
    channels_first: bool,
}

impl<const RANK: usize> Cropping<RANK> {
    /// A layer that cuts off this border.
    pub fn new(cropping: impl Into<Borders<RANK>>) -> Self {
        Cropping {
            cropping: cropping.into(),
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
}

impl<const RANK: usize> Layer for Cropping<RANK> {
    fn class_name(&self) -> &str {
        of_rank::<RANK>(["Cropping1D", "Cropping2D", "Cropping3D"])
    }

    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        require_cells("cropping", 0, self.cropping.0.as_flattened())?;
        let (sizes, _) = image::<RANK>(inputs, self.channels_first)?;
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
        inputs[0].crop(&self.cropping.of_all_axes(self.channels_first))
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = object(json!({ "cropping": self.cropping.serialize() }));
        // Keras' constructor of the one-dimensional class takes no format.
        if RANK > 1 {
            config.insert("data_format".into(), data_format(self.channels_first));
        }
        config
    }
}

impl<const RANK: usize> FromSettings for Cropping<RANK> {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = Borders::from(if RANK == 2 { 0 } else { 1 });
        Ok(Cropping {
            cropping: settings.borders("cropping")?.unwrap_or(default),
            channels_first: RANK > 1 && !settings.channels_last()?,
        })
    }
}

//! The middle of images.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::spatial::{Borders, data_format, image, require_cells};
use super::support::object;
use crate::settings::{FromSettings, Settings};
use crate::{Call, Layer, Weights};

/// The middle `height` rows and `width` columns of images; where an odd number is cut off, one more
/// behind.
///
/// Input `(batch, rows, columns, channels)`, output `(batch, height, width, channels)`. There are no
/// weights; being frozen changes nothing. Images that are smaller are refused; Keras resizes those.
/// Keras: <https://keras.io/api/layers/preprocessing_layers/image_preprocessing/center_crop/>.
#[derive(Clone, Copy, Debug)]
pub struct CenterCrop {
    height: usize,
    width: usize,
    channels_first: bool,
}

impl CenterCrop {
    /// A layer that keeps this size.
    pub fn new(height: usize, width: usize) -> Self {
        CenterCrop {
            height,
            width,
            channels_first: false,
        }
    }

    /// Takes and gives images with the channels first, as Keras does with
    /// `data_format="channels_first"`.
    #[must_use]
    pub fn channels_first(mut self) -> Self {
        self.channels_first = true;
        self
    }

    /// What is cut off images of these sizes, if they are large enough.
    fn borders(&self, sizes: [usize; 2]) -> Option<Borders<2>> {
        let side = |size: usize, kept: usize| {
            let excess = size.checked_sub(kept)?;
            Some([excess / 2, excess - excess / 2])
        };
        let borders = [side(sizes[0], self.height)?, side(sizes[1], self.width)?];
        Some(Borders(borders))
    }
}

impl Layer for CenterCrop {
    fn class_name(&self) -> &str {
        "CenterCrop"
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        require_cells("height, width", 1, &[self.height, self.width])?;
        let (sizes, _) = image::<2>(inputs, self.channels_first)?;
        match self.borders(sizes) {
            Some(_) => Ok(()),
            None => {
                let expected = format!("images of at least {} × {}", self.height, self.width);
                let help = "bring them to that size first, with a `Resizing` layer";
                Err(Detail::new("", expected, &inputs[0]).help(help))
            }
        }
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        // What does not fit was found when the layer was built.
        match image::<2>(&[x.shape()], self.channels_first) {
            Ok((sizes, _)) => match self.borders(sizes) {
                Some(borders) => x.crop(&borders.of_all_axes(self.channels_first)),
                None => x,
            },
            Err(_) => x,
        }
    }

    fn config(&self) -> Map<String, Value> {
        object(json!({
            "height": self.height,
            "width": self.width,
            "data_format": data_format(self.channels_first),
        }))
    }
}

impl FromSettings for CenterCrop {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(CenterCrop {
            height: settings.size("height")?,
            width: settings.size("width")?,
            channels_first: !settings.channels_last()?,
        })
    }
}

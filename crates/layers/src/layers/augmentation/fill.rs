//! What is seen outside an image that was moved, and how pixels between pixels are found.

use regraft_tensor::Detail;
use regraft_tensor::kernels::projective::{Outside, Projection, Resampling, projective};

use super::transformation::Images;
use crate::layers::Interpolation;
use crate::settings::{by_name, require, require_finite};

/// What is seen where there is no image: given by Keras' name (`"reflect"`) or as a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FillMode {
    /// The image in a mirror that stands on its border: `d c b a | a b c d | d c b a`.
    #[default]
    Reflect,
    /// The image again: `a b c d | a b c d | a b c d`.
    Wrap,
    /// A number.
    Constant,
    /// The pixel of the border that is nearest.
    Nearest,
    /// A name that means none of these, which is reported when the model is built.
    Unknown(String),
}

by_name!(FillMode: "a text");

impl From<&str> for FillMode {
    /// By Keras' name; an unknown one is reported when the model is built.
    fn from(name: &str) -> Self {
        match name {
            "reflect" => FillMode::Reflect,
            "wrap" => FillMode::Wrap,
            "constant" => FillMode::Constant,
            "nearest" => FillMode::Nearest,
            _ => FillMode::Unknown(name.to_string()),
        }
    }
}

impl FillMode {
    /// Keras' name.
    pub fn name(&self) -> &str {
        match self {
            FillMode::Reflect => "reflect",
            FillMode::Wrap => "wrap",
            FillMode::Constant => "constant",
            FillMode::Nearest => "nearest",
            FillMode::Unknown(name) => name,
        }
    }
}

/// An error unless images can be resampled so.
pub(crate) fn check_interpolation(interpolation: &Interpolation) -> Result<(), Detail> {
    let known = [Interpolation::Nearest, Interpolation::Bilinear].contains(interpolation);
    let expected = "\"nearest\" or \"bilinear\"";
    require(known, "interpolation", expected, interpolation.name())
}

/// The settings of layers that move images.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fill {
    pub mode: FillMode,
    pub value: f32,
    pub interpolation: Interpolation,
}

impl Fill {
    pub fn check(&self) -> Result<(), Detail> {
        check_interpolation(&self.interpolation)?;
        require_finite("fill_value", self.value)?;
        let known = !matches!(self.mode, FillMode::Unknown(_));
        let expected = "\"reflect\", \"wrap\", \"constant\" or \"nearest\"";
        require(known, "fill_mode", expected, self.mode.name())
    }

    /// Each image through its own map.
    pub fn project(&self, x: &[f32], images: Images, maps: &[Projection], y: &mut [f32]) {
        let outside = match self.mode {
            FillMode::Constant => Outside::Constant(self.value),
            FillMode::Nearest => Outside::Nearest,
            FillMode::Wrap => Outside::Wrap,
            FillMode::Reflect | FillMode::Unknown(_) => Outside::Reflect,
        };
        let resampling = Resampling {
            bilinear: self.interpolation == Interpolation::Bilinear,
            outside,
        };
        projective(x, images.size(), maps, resampling, y);
    }
}

/// What layers that have a fill make of its settings.
macro_rules! filling {
    ($layer:ident) => {
        impl $layer {
            fn fill(&self) -> $crate::layers::augmentation::fill::Fill {
                $crate::layers::augmentation::fill::Fill {
                    mode: self.fill_mode.clone(),
                    value: self.fill_value,
                    interpolation: self.interpolation.clone(),
                }
            }
        }
    };
}
pub(crate) use filling;

//! What is seen outside an image that was moved, and how pixels between pixels are found.

use regraft_tensor::Detail;
use regraft_tensor::kernels::projective::{Outside, Projection, Resampling, projective};

use super::transformation::Images;
use crate::layers::Interpolation;
use crate::settings::{Map, Settings, by_name, number, require, require_finite};

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

    pub fn write(&self, config: &mut Map) {
        config.insert("fill_mode".into(), self.mode.name().into());
        config.insert("fill_value".into(), number(self.value));
        config.insert("interpolation".into(), self.interpolation.name().into());
    }

    pub fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(Fill {
            mode: settings.text("fill_mode", "reflect")?.into(),
            value: settings.number("fill_value", 0.0)?,
            interpolation: settings.text("interpolation", "bilinear")?.into(),
        })
    }
}

/// The methods of layers that have a [`Fill`].
macro_rules! filling {
    ($layer:ident) => {
        impl $layer {
            /// What is seen where there is no image: `"reflect"` unless told otherwise.
            #[must_use]
            pub fn fill_mode(
                mut self,
                mode: impl Into<$crate::layers::augmentation::FillMode>,
            ) -> Self {
                self.fill.mode = mode.into();
                self
            }

            /// The number that is seen there with `"constant"`; 0 unless told otherwise.
            #[must_use]
            pub fn fill_value(mut self, value: f32) -> Self {
                self.fill.value = value;
                self
            }

            /// How values between pixels are found: `"bilinear"` unless told otherwise, or `"nearest"`.
            #[must_use]
            pub fn interpolation(
                mut self,
                interpolation: impl Into<$crate::layers::Interpolation>,
            ) -> Self {
                self.fill.interpolation = interpolation.into();
                self
            }
        }
    };
}
pub(crate) use filling;

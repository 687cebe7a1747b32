//! How images get other sizes.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use regraft_tensor::kernels::resize::ResizeMethod;

/// How values between pixels are found: given by Keras' name (`"bilinear"`) or as a value. Pixels are
/// squares with their values in the middle, and nothing is smoothed before an image is made smaller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interpolation {
    /// That of the nearest pixel.
    Nearest,
    /// On lines between the two nearest pixels of each axis.
    #[default]
    Bilinear,
    /// On cubics through the four nearest pixels of each axis (Keys, a = −1/2).
    Bicubic,
    /// A name that means none of these, which is reported when the model is built.
    Unknown(String),
}

impl From<&str> for Interpolation {
    /// By Keras' name; an unknown one is reported when the model is built.
    fn from(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "nearest" => Interpolation::Nearest,
            "bilinear" => Interpolation::Bilinear,
            "bicubic" => Interpolation::Bicubic,
            _ => Interpolation::Unknown(name.to_string()),
        }
    }
}

impl Interpolation {
    /// Keras' name.
    pub fn name(&self) -> &str {
        match self {
            Interpolation::Nearest => "nearest",
            Interpolation::Bilinear => "bilinear",
            Interpolation::Bicubic => "bicubic",
            Interpolation::Unknown(name) => name,
        }
    }

    fn method(&self) -> Option<ResizeMethod> {
        match self {
            Interpolation::Nearest => Some(ResizeMethod::Nearest),
            Interpolation::Bilinear => Some(ResizeMethod::Bilinear),
            Interpolation::Bicubic => Some(ResizeMethod::Bicubic),
            Interpolation::Unknown(_) => None,
        }
    }

    /// An error for a name that is not known.
    pub(crate) fn check(&self) -> Result<(), Detail> {
        match self.method() {
            Some(_) => Ok(()),
            None => {
                let expected = "\"nearest\", \"bilinear\" or \"bicubic\"";
                let received = format!("{:?}", self.name());
                Err(Detail::new("interpolation", expected, received))
            }
        }
    }

    /// Images `(batch, rows, columns, channels)` with this many rows and columns.
    pub(crate) fn resize<'g>(&self, x: Var<'g>, size: [usize; 2]) -> Var<'g> {
        match self.method() {
            Some(method) => x.resize(&size, method),
            None => x,
        }
    }
}

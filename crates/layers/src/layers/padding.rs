//! What a convolution or pooling does at the borders of its input.

use regraft_tensor::Detail;

use crate::settings::by_name;

/// Which cells are thought around the input: given by Keras' name (`"same"`) or as a value.
///
/// With the input's size n, the window's size k, its dilation d and stride s along an axis:
///
/// | | cells around | output |
/// |---|---|---|
/// | `Valid` | none | ⌊(n − (k − 1) · d − 1) / s⌋ + 1 |
/// | `Same` | as few as give that output, an odd one behind | ⌈n / s⌉ |
/// | `Causal` | (k − 1) · d in front, so that no step sees a later one | ⌈n / s⌉ |
///
/// These cells are zeros of a convolution; a pooling leaves them out. `Same` is not symmetric: an
/// image of 224 with window 3 and stride 2 gets no cell in front and one behind (PyTorch's padding 1
/// would put one in front and none behind).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Padding {
    /// No cells around: the window stays inside.
    #[default]
    Valid,
    /// As many outputs as inputs, divided by the stride.
    Same,
    /// All cells in front: one-dimensional convolutions alone have it.
    Causal,
    /// A name that means none of these, which is reported when the model is built.
    Unknown(String),
}

by_name!(Padding: "the name of a padding");

impl From<&str> for Padding {
    /// By Keras' name; an unknown one is reported when the model is built.
    fn from(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "valid" => Padding::Valid,
            "same" => Padding::Same,
            "causal" => Padding::Causal,
            _ => Padding::Unknown(name.to_string()),
        }
    }
}

impl Padding {
    /// Keras' name.
    pub fn name(&self) -> &str {
        match self {
            Padding::Valid => "valid",
            Padding::Same => "same",
            Padding::Causal => "causal",
            Padding::Unknown(name) => name,
        }
    }

    /// An error for a name that is not known, or for causal padding where there is none.
    pub(crate) fn check(&self, may_be_causal: bool) -> Result<(), Detail> {
        match self {
            Padding::Valid | Padding::Same => Ok(()),
            Padding::Causal if may_be_causal => Ok(()),
            other => {
                let expected = match may_be_causal {
                    true => "\"valid\", \"same\" or \"causal\"",
                    false => "\"valid\" or \"same\"",
                };
                Err(Detail::new(
                    "padding",
                    expected,
                    format!("{:?}", other.name()),
                ))
            }
        }
    }
}

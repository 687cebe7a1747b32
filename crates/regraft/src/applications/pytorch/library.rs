//! Who writes networks for PyTorch.

use std::fmt;

/// Who wrote a network: where two have one of a name, as ResNet50, these differ in what they expect of images and
/// in where their weights are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Library {
    /// PyTorch's own package of networks.
    Torchvision,
    /// PyTorch Image Models.
    Timm,
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Library::Torchvision => "torchvision",
            Library::Timm => "timm",
        })
    }
}

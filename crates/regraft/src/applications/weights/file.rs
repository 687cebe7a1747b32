//! A file of weights that somebody publishes.

use super::hash::Hash;

/// A published file of weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightsFile {
    /// Its name in folders.
    pub name: String,
    /// Where it can be had.
    pub url: String,
    /// What it must have, if that is published.
    pub hash: Option<Hash>,
    /// The repository at Hugging Face whose `model.safetensors` it is: `timm/resnet50.a1_in1k`.
    pub repository: Option<String>,
}

impl WeightsFile {
    /// Whether PyTorch's hub has it.
    pub(super) fn is_of_pytorch(&self) -> bool {
        self.url.contains("pytorch.org/")
    }
}

//! Where the weights of a network are that was trained on ImageNet: the files that Keras publishes for its
//! applications, looked for in this order:
//!
//! 1. `models/` in the folder `$REGRAFT_HOME`, or in `~/.regraft` where that is not set;
//! 2. `models/` in Keras' own folder, `$KERAS_HOME` or `~/.keras`;
//! 3. for [`torchvision`](super::torchvision) in place of that in `hub/checkpoints/` of PyTorch's folder,
//!    `$TORCH_HOME` or `~/.cache/torch`, and for [`timm`](super::timm) in the cache of Hugging Face's hub,
//!    `$HF_HUB_CACHE`, `$HF_HOME/hub` or `~/.cache/huggingface/hub`;
//! 4. with the feature `download`, where these get them; they are kept in the first of these folders.
//!
//! ```no_run
//! use regraft::applications;
//!
//! let backbone = applications::mobilenet_v2()
//!     .include_top(false)
//!     .pooling("avg")
//!     .pretrained()?;
//! # Ok::<(), regraft::Error>(())
//! ```
//!
//! A file counts if it has the hash that Keras publishes, or the beginning of one that torchvision has in its name.
//! Where none is published (MobileNet and MobileNetV2, and all of timm's),
//! its tensors must be those of the network, by name and shape, and its own hash is written down beside the first
//! of the folders (`NAME.sha256`), for the next time. A file that is not the right one is never used; one in the
//! first of the folders is named `NAME.refused` when the right one has been downloaded.
//!
//! Downloads go on where they were cut, take their name when they are whole and right, and happen once if several
//! processes want the same file. `$REGRAFT_WEIGHTS_URL` names a mirror that has Keras' paths.

#[cfg(feature = "download")]
mod download;
#[cfg(all(test, feature = "download"))]
mod download_tests;
pub(super) mod file;
mod hash;
pub(crate) mod keras_files;
mod lookup;
mod pretrained;
#[cfg(test)]
mod tests;

pub use file::WeightsFile;
pub use hash::Hash;
pub use lookup::{Lookup, OnProgress, home};

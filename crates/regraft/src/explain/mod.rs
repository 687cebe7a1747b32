//! Why a model answers as it does.

mod answer;
mod grad_cam;
mod saliency;

pub use answer::Classes;
pub use grad_cam::grad_cam;
pub use saliency::saliency;

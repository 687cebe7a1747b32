//! The layers, one file each (small families share one).

mod activation;
mod activity_regularization;
mod advanced_activations;
mod alpha_dropout;
mod batch_normalization;
mod dense;
mod dropout;
mod embedding;
mod flatten;
mod gaussian_dropout;
mod gaussian_noise;
mod identity;
mod input;
mod layer_normalization;
mod merging;
mod normalization;
mod permute;
mod prelu;
mod rescaling;
mod reshape;
mod rms_normalization;
mod spatial_dropout;
mod support;
mod table;
#[cfg(test)]
mod tests;
mod unit_normalization;

pub use activation::ActivationLayer;
pub use activity_regularization::ActivityRegularization;
pub use advanced_activations::{ELU, LeakyReLU, ReLU, Softmax};
pub use alpha_dropout::AlphaDropout;
pub use batch_normalization::BatchNormalization;
pub use dense::Dense;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use flatten::Flatten;
pub use gaussian_dropout::GaussianDropout;
pub use gaussian_noise::GaussianNoise;
pub use identity::Identity;
pub use input::Input;
pub(crate) use input::sample_shape;
pub use layer_normalization::LayerNormalization;
pub use merging::{Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract};
pub use normalization::Normalization;
pub use permute::Permute;
pub use prelu::PReLU;
pub use rescaling::Rescaling;
pub use reshape::Reshape;
pub use rms_normalization::RMSNormalization;
pub use spatial_dropout::{SpatialDropout1D, SpatialDropout2D, SpatialDropout3D};
pub use unit_normalization::UnitNormalization;

pub(crate) use support::{features, object};
pub(crate) use table::{TABLE, class_names};

//! The layers, one file each (small families share one).

mod activation;
mod activity_regularization;
mod advanced_activations;
mod alpha_dropout;
mod batch_normalization;
mod convolution;
mod convolution_options;
mod cropping;
mod dense;
mod depthwise_convolution;
mod dropout;
mod embedding;
mod flatten;
mod gaussian_dropout;
mod gaussian_noise;
mod global_pooling;
mod identity;
mod input;
mod layer_normalization;
mod merging;
mod normalization;
mod padding;
mod permute;
mod pooling;
mod prelu;
mod rescaling;
mod reshape;
mod rms_normalization;
mod separable_convolution;
mod sliding;
mod spatial;
mod spatial_dropout;
mod support;
mod table;
#[cfg(test)]
mod tests;
mod unit_normalization;
mod up_sampling;
mod zero_padding;

pub use activation::ActivationLayer;
pub use activity_regularization::ActivityRegularization;
pub use advanced_activations::{ELU, LeakyReLU, ReLU, Softmax};
pub use alpha_dropout::AlphaDropout;
pub use batch_normalization::BatchNormalization;
pub use convolution::{Conv1D, Conv2D, Conv3D, Convolution};
pub use cropping::{Cropping, Cropping1D, Cropping2D, Cropping3D};
pub use dense::Dense;
pub use depthwise_convolution::{DepthwiseConv1D, DepthwiseConv2D, DepthwiseConvolution};
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use flatten::Flatten;
pub use gaussian_dropout::GaussianDropout;
pub use gaussian_noise::GaussianNoise;
pub use global_pooling::{
    GlobalAveragePooling, GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D,
    GlobalMaxPooling, GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D,
};
pub use identity::Identity;
pub use input::Input;
pub(crate) use input::sample_shape;
pub use layer_normalization::LayerNormalization;
pub use merging::{Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract};
pub use normalization::Normalization;
pub use padding::Padding;
pub use permute::Permute;
pub use pooling::{
    AveragePooling, AveragePooling1D, AveragePooling2D, AveragePooling3D, MaxPooling, MaxPooling1D,
    MaxPooling2D, MaxPooling3D,
};
pub use prelu::PReLU;
pub use rescaling::Rescaling;
pub use reshape::Reshape;
pub use rms_normalization::RMSNormalization;
pub use separable_convolution::{SeparableConv1D, SeparableConv2D, SeparableConvolution};
pub use spatial::{Borders, Sizes};
pub use spatial_dropout::{SpatialDropout1D, SpatialDropout2D, SpatialDropout3D};
pub use unit_normalization::UnitNormalization;

pub(crate) use support::{features, object};
pub(crate) use table::{TABLE, class_names};
pub use up_sampling::{UpSampling, UpSampling1D, UpSampling2D, UpSampling3D};
pub use zero_padding::{ZeroPadding, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D};

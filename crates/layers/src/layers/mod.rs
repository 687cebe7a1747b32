//! The layers, one file each (small families share one).

mod activation;
mod activity_regularization;
mod advanced_activations;
mod alpha_dropout;
mod augmentation;
mod batch_normalization;
mod center_crop;
mod convolution;
mod convolution_options;
mod convolution_transposed;
mod cropping;
mod custom_scale_layer;
mod dense;
mod depthwise_convolution;
mod dot;
mod dropout;
mod einsum_dense;
mod embedding;
mod flatten;
mod gaussian_dropout;
mod gaussian_noise;
mod global_pooling;
mod group_normalization;
mod identity;
mod input;
mod interpolation;
mod layer_normalization;
mod layer_scale;
mod masking;
mod merging;
mod normalization;
pub(crate) mod operations;
mod padding;
mod permute;
mod pooling;
mod prelu;
mod preprocessing;
mod repeat_vector;
mod rescaling;
mod reshape;
mod resizing;
mod rms_normalization;
mod separable_convolution;
mod sliding;
mod spatial;
mod spatial_dropout;
mod spectral_normalization;
mod stochastic_depth;
mod support;
mod table;
#[cfg(test)]
mod tests;
mod time_distributed;
mod unit_normalization;
mod up_sampling;
mod zero_padding;

pub use activation::ActivationLayer;
pub use activity_regularization::ActivityRegularization;
pub use advanced_activations::{ELU, LeakyReLU, ReLU, Softmax};
pub use alpha_dropout::AlphaDropout;
pub use augmentation::{
    AugMix, AutoContrast, ContrastLimitedAdaptiveHistogramEqualization, CutMix, Equalization,
    Factor, FillMode, MaxNumBoundingBoxes, MixUp, Pipeline, RandAugment, RandomBrightness,
    RandomColorDegeneration, RandomColorJitter, RandomContrast, RandomCrop, RandomElasticTransform,
    RandomErasing, RandomFlip, RandomGaussianBlur, RandomGrayscale, RandomHue, RandomInvert,
    RandomPerspective, RandomPosterization, RandomRotation, RandomSaturation, RandomSharpness,
    RandomShear, RandomTranslation, RandomZoom, Solarization,
};
pub use batch_normalization::BatchNormalization;
pub use center_crop::CenterCrop;
pub use convolution::{Conv1D, Conv2D, Conv3D, Convolution};
pub use convolution_transposed::{
    Conv1DTranspose, Conv2DTranspose, Conv3DTranspose, ConvolutionTransposed,
};
pub use cropping::{Cropping, Cropping1D, Cropping2D, Cropping3D};
pub use custom_scale_layer::CustomScaleLayer;
pub use dense::Dense;
pub use depthwise_convolution::{DepthwiseConv1D, DepthwiseConv2D, DepthwiseConvolution};
pub use dot::Dot;
pub use dropout::Dropout;
pub use einsum_dense::EinsumDense;
pub use embedding::Embedding;
pub use flatten::Flatten;
pub use gaussian_dropout::GaussianDropout;
pub use gaussian_noise::GaussianNoise;
pub use global_pooling::{
    GlobalAveragePooling, GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D,
    GlobalMaxPooling, GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D,
};
pub use group_normalization::GroupNormalization;
pub use identity::Identity;
pub use input::Input;
pub use interpolation::Interpolation;
pub use layer_normalization::LayerNormalization;
pub use layer_scale::LayerScale;
pub use masking::Masking;
pub use merging::{Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract};
pub use normalization::Normalization;
pub use operations::Operation;
pub use padding::Padding;
pub use permute::Permute;
pub use pooling::{
    AveragePooling, AveragePooling1D, AveragePooling2D, AveragePooling3D, MaxPooling, MaxPooling1D,
    MaxPooling2D, MaxPooling3D,
};
pub use prelu::PReLU;
pub use preprocessing::{
    CategoryEncoding, Discretization, Hashing, IntegerLookup, OutputMode, StringLookup,
};
pub use repeat_vector::RepeatVector;
pub use rescaling::Rescaling;
pub use reshape::Reshape;
pub use resizing::Resizing;
pub use rms_normalization::RMSNormalization;
pub use separable_convolution::{SeparableConv1D, SeparableConv2D, SeparableConvolution};
pub use spatial::{Borders, Sizes};
pub use spatial_dropout::{SpatialDropout1D, SpatialDropout2D, SpatialDropout3D};
pub use spectral_normalization::SpectralNormalization;
pub use stochastic_depth::StochasticDepth;
pub use time_distributed::TimeDistributed;
pub use unit_normalization::UnitNormalization;
pub use up_sampling::{UpSampling, UpSampling1D, UpSampling2D, UpSampling3D};
pub use zero_padding::{ZeroPadding, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D};

pub(crate) use input::sample_shape;
pub(crate) use support::{as_size, features, object};
pub(crate) use table::{TABLE, WRAPPERS, Wrap, class_names};

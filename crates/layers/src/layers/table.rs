//! The layers that files may name, and how each is made from its settings.

use std::sync::Arc;

use regraft_tensor::Detail;

use super::*;
use crate::settings::{FromSettings, Maker, Settings};
use crate::{Layer, LayerSpec};

fn make<L: Layer + FromSettings>(settings: &Settings<'_>) -> Result<Arc<dyn Layer>, Detail> {
    Ok(Arc::new(L::from_settings(settings)?))
}

/// Every built-in layer under its class name in Keras.
pub(crate) const TABLE: &[Maker<Arc<dyn Layer>>] = &[
    (&["Activation"], make::<ActivationLayer>),
    (&["ActivityRegularization"], make::<ActivityRegularization>),
    (&["Add"], make::<Add>),
    (&["AlphaDropout"], make::<AlphaDropout>),
    (&["Average"], make::<Average>),
    (&["AveragePooling1D"], make::<AveragePooling1D>),
    (&["AveragePooling2D"], make::<AveragePooling2D>),
    (&["AveragePooling3D"], make::<AveragePooling3D>),
    // Keras 1 and 2 also wrote the classes of TensorFlow's two versions.
    (
        &[
            "BatchNormalization",
            "BatchNormalizationV1",
            "BatchNormalizationV2",
        ],
        make::<BatchNormalization>,
    ),
    (&["CategoryEncoding"], make::<CategoryEncoding>),
    (&["CenterCrop"], make::<CenterCrop>),
    (&["Concatenate"], make::<Concatenate>),
    (&["Conv1D"], make::<Conv1D>),
    (&["Conv1DTranspose"], make::<Conv1DTranspose>),
    (&["Conv2D"], make::<Conv2D>),
    (&["Conv2DTranspose"], make::<Conv2DTranspose>),
    (&["Conv3D"], make::<Conv3D>),
    (&["Conv3DTranspose"], make::<Conv3DTranspose>),
    (&["Cropping1D"], make::<Cropping1D>),
    (&["Cropping2D"], make::<Cropping2D>),
    (&["Cropping3D"], make::<Cropping3D>),
    // Keras 2 writes it as a class that somebody registered.
    (
        &["CustomScaleLayer", "Custom>CustomScaleLayer"],
        make::<CustomScaleLayer>,
    ),
    (&["Dense"], make::<Dense>),
    (&["DepthwiseConv1D"], make::<DepthwiseConv1D>),
    (&["DepthwiseConv2D"], make::<DepthwiseConv2D>),
    (&["Discretization"], make::<Discretization>),
    (&["Dot"], make::<Dot>),
    (&["Dropout"], make::<Dropout>),
    (&["ELU"], make::<ELU>),
    (&["EinsumDense"], make::<EinsumDense>),
    (&["Embedding"], make::<Embedding>),
    (&["Flatten"], make::<Flatten>),
    (&["GaussianDropout"], make::<GaussianDropout>),
    (&["GaussianNoise"], make::<GaussianNoise>),
    (&["GlobalAveragePooling1D"], make::<GlobalAveragePooling1D>),
    (&["GlobalAveragePooling2D"], make::<GlobalAveragePooling2D>),
    (&["GlobalAveragePooling3D"], make::<GlobalAveragePooling3D>),
    (&["GlobalMaxPooling1D"], make::<GlobalMaxPooling1D>),
    (&["GlobalMaxPooling2D"], make::<GlobalMaxPooling2D>),
    (&["GlobalMaxPooling3D"], make::<GlobalMaxPooling3D>),
    (&["GroupNormalization"], make::<GroupNormalization>),
    (&["Hashing"], make::<Hashing>),
    (&["Identity"], make::<Identity>),
    (&["InputLayer"], make::<Input>),
    (&["IntegerLookup"], make::<IntegerLookup>),
    (&["LayerNormalization"], make::<LayerNormalization>),
    (&["LayerScale"], make::<LayerScale>),
    (&["LeakyReLU"], make::<LeakyReLU>),
    (&["Masking"], make::<Masking>),
    (&["MaxPooling1D"], make::<MaxPooling1D>),
    (&["MaxPooling2D"], make::<MaxPooling2D>),
    (&["MaxPooling3D"], make::<MaxPooling3D>),
    (&["Maximum"], make::<Maximum>),
    (&["Minimum"], make::<Minimum>),
    (&["Multiply"], make::<Multiply>),
    (&["Normalization"], make::<Normalization>),
    (&["PReLU"], make::<PReLU>),
    (&["Permute"], make::<Permute>),
    (&["RMSNormalization"], make::<RMSNormalization>),
    (&["ReLU"], make::<ReLU>),
    (&["RepeatVector"], make::<RepeatVector>),
    (&["Rescaling"], make::<Rescaling>),
    (&["Reshape"], make::<Reshape>),
    (&["SeparableConv1D"], make::<SeparableConv1D>),
    (&["SeparableConv2D"], make::<SeparableConv2D>),
    (&["Resizing"], make::<Resizing>),
    (&["Softmax"], make::<Softmax>),
    (&["SpatialDropout1D"], make::<SpatialDropout1D>),
    (&["SpatialDropout2D"], make::<SpatialDropout2D>),
    (&["SpatialDropout3D"], make::<SpatialDropout3D>),
    (&["StochasticDepth"], make::<StochasticDepth>),
    (&["StringLookup"], make::<StringLookup>),
    (&["Subtract"], make::<Subtract>),
    (&["UnitNormalization"], make::<UnitNormalization>),
    (&["UpSampling1D"], make::<UpSampling1D>),
    (&["UpSampling2D"], make::<UpSampling2D>),
    (&["UpSampling3D"], make::<UpSampling3D>),
    (&["ZeroPadding1D"], make::<ZeroPadding1D>),
    (&["ZeroPadding2D"], make::<ZeroPadding2D>),
    (&["ZeroPadding3D"], make::<ZeroPadding3D>),
    // Layers that change images.
    (&["AugMix"], make::<AugMix>),
    (&["AutoContrast"], make::<AutoContrast>),
    (
        &["ContrastLimitedAdaptiveHistogramEqualization"],
        make::<ContrastLimitedAdaptiveHistogramEqualization>,
    ),
    (&["CutMix"], make::<CutMix>),
    (&["Equalization"], make::<Equalization>),
    (&["MaxNumBoundingBoxes"], make::<MaxNumBoundingBoxes>),
    (&["MixUp"], make::<MixUp>),
    (&["Pipeline"], make::<Pipeline>),
    (&["RandAugment"], make::<RandAugment>),
    (&["RandomBrightness"], make::<RandomBrightness>),
    (
        &["RandomColorDegeneration"],
        make::<RandomColorDegeneration>,
    ),
    (&["RandomColorJitter"], make::<RandomColorJitter>),
    (&["RandomContrast"], make::<RandomContrast>),
    (&["RandomCrop"], make::<RandomCrop>),
    (&["RandomElasticTransform"], make::<RandomElasticTransform>),
    (&["RandomErasing"], make::<RandomErasing>),
    (&["RandomFlip"], make::<RandomFlip>),
    (&["RandomGaussianBlur"], make::<RandomGaussianBlur>),
    (&["RandomGrayscale"], make::<RandomGrayscale>),
    (&["RandomHue"], make::<RandomHue>),
    (&["RandomInvert"], make::<RandomInvert>),
    (&["RandomPerspective"], make::<RandomPerspective>),
    (&["RandomPosterization"], make::<RandomPosterization>),
    (&["RandomRotation"], make::<RandomRotation>),
    (&["RandomSaturation"], make::<RandomSaturation>),
    (&["RandomSharpness"], make::<RandomSharpness>),
    (&["RandomShear"], make::<RandomShear>),
    (&["RandomTranslation"], make::<RandomTranslation>),
    (&["RandomZoom"], make::<RandomZoom>),
    (&["Solarization"], make::<Solarization>),
];

/// Makes a wrapper of the layer that its configuration has, and its other settings.
pub(crate) type Wrap = fn(LayerSpec, &Settings<'_>) -> Result<Arc<dyn Layer>, Detail>;

/// Every built-in layer that contains another one, which its settings have under `layer`.
pub(crate) const WRAPPERS: &[(&str, Wrap)] = &[
    ("SpectralNormalization", |layer, settings| {
        let made = SpectralNormalization::from_layer(layer, settings)?;
        Ok(Arc::new(made))
    }),
    ("TimeDistributed", |layer, _| {
        Ok(Arc::new(TimeDistributed::new(layer)))
    }),
];

/// The class names in [`TABLE`] and [`WRAPPERS`].
pub(crate) fn class_names() -> impl Iterator<Item = &'static str> {
    let layers = TABLE.iter().flat_map(|(names, _)| names.iter().copied());
    layers.chain(WRAPPERS.iter().map(|(name, _)| *name))
}

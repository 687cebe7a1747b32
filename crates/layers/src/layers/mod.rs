//! The layers, one file each (small families share one).

mod convolution_options;
mod interpolation;
mod leading_axes;
pub(crate) mod operations;
mod padding;
mod sliding;
mod spatial;
mod spectral_normalization;
mod support;
#[cfg(test)]
mod tests;
mod time_distributed;

pub use adaptive_pooling::{AdaptiveAveragePooling, AdaptiveMaxPooling};
pub use augmentation::{Factor, FillMode};
pub use convolution::Convolution;
pub use convolution_transposed::ConvolutionTransposed;
pub use cropping::Cropping;
pub use depthwise_convolution::DepthwiseConvolution;
pub use global_pooling::{GlobalAveragePooling, GlobalMaxPooling};
pub use interpolation::Interpolation;
pub use operations::Operation;
pub use padding::Padding;
pub use pooling::{AveragePooling, MaxPooling};
pub use preprocessing::OutputMode;
pub use recurrent::{Bidirectional, ConvLSTM, MergeMode, RNN, StackedRNNCells};
pub use separable_convolution::SeparableConvolution;
pub use spatial::{Borders, Sizes};
pub use spectral_normalization::SpectralNormalization;
pub use time_distributed::TimeDistributed;
pub use up_sampling::UpSampling;
pub use zero_padding::ZeroPadding;

pub(crate) use input::sample_shape;
pub(crate) use support::{as_size, features, object};

use std::sync::Arc;

use regraft_tensor::Detail;

use crate::settings::{FromSettings, Settings, catalogue};
use crate::{Layer, LayerSpec};

fn make<L: Layer + FromSettings>(settings: &Settings<'_>) -> Result<Arc<dyn Layer>, Detail> {
    Ok(Arc::new(L::from_settings(settings)?))
}

pub use attention::{AttentionInput, AttentionInputs};

catalogue! {
    Arc<dyn Layer>, make:
    activation: ActivationLayer ["Activation"];
    activity_regularization: ActivityRegularization ["ActivityRegularization"];
    adaptive_pooling:
        AdaptiveAveragePooling1D ["AdaptiveAveragePooling1D"],
        AdaptiveAveragePooling2D ["AdaptiveAveragePooling2D"],
        AdaptiveAveragePooling3D ["AdaptiveAveragePooling3D"],
        AdaptiveMaxPooling1D ["AdaptiveMaxPooling1D"],
        AdaptiveMaxPooling2D ["AdaptiveMaxPooling2D"],
        AdaptiveMaxPooling3D ["AdaptiveMaxPooling3D"];
    advanced_activations: ELU ["ELU"], LeakyReLU ["LeakyReLU"], ReLU ["ReLU"], Softmax ["Softmax"];
    alpha_dropout: AlphaDropout ["AlphaDropout"];
    attention:
        AdditiveAttention ["AdditiveAttention"],
        Attention ["Attention"],
        // The class is exported under one name, and has the other.
        GroupQueryAttention ["GroupQueryAttention", "GroupedQueryAttention"],
        MultiHeadAttention ["MultiHeadAttention"];
    augmentation:
        AugMix ["AugMix"],
        AutoContrast ["AutoContrast"],
        ContrastLimitedAdaptiveHistogramEqualization ["ContrastLimitedAdaptiveHistogramEqualization"],
        CutMix ["CutMix"],
        Equalization ["Equalization"],
        MaxNumBoundingBoxes ["MaxNumBoundingBoxes"],
        MixUp ["MixUp"],
        Pipeline ["Pipeline"],
        RandAugment ["RandAugment"],
        RandomBrightness ["RandomBrightness"],
        RandomColorDegeneration ["RandomColorDegeneration"],
        RandomColorJitter ["RandomColorJitter"],
        RandomContrast ["RandomContrast"],
        RandomCrop ["RandomCrop"],
        RandomElasticTransform ["RandomElasticTransform"],
        RandomErasing ["RandomErasing"],
        RandomFlip ["RandomFlip"],
        RandomGaussianBlur ["RandomGaussianBlur"],
        RandomGrayscale ["RandomGrayscale"],
        RandomHue ["RandomHue"],
        RandomInvert ["RandomInvert"],
        RandomPerspective ["RandomPerspective"],
        RandomPosterization ["RandomPosterization"],
        RandomRotation ["RandomRotation"],
        RandomSaturation ["RandomSaturation"],
        RandomSharpness ["RandomSharpness"],
        RandomShear ["RandomShear"],
        RandomTranslation ["RandomTranslation"],
        RandomZoom ["RandomZoom"],
        Solarization ["Solarization"],
        TrivialAugment ["TrivialAugment"];
    // Keras 1 and 2 also wrote the classes of TensorFlow's two versions.
    batch_normalization:
        BatchNormalization ["BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2"];
    center_crop: CenterCrop ["CenterCrop"];
    convolution: Conv1D ["Conv1D"], Conv2D ["Conv2D"], Conv3D ["Conv3D"];
    convolution_transposed:
        Conv1DTranspose ["Conv1DTranspose"],
        Conv2DTranspose ["Conv2DTranspose"],
        Conv3DTranspose ["Conv3DTranspose"];
    cropping: Cropping1D ["Cropping1D"], Cropping2D ["Cropping2D"], Cropping3D ["Cropping3D"];
    // Keras 2 writes it as a class that somebody registered.
    custom_scale_layer: CustomScaleLayer ["CustomScaleLayer", "Custom>CustomScaleLayer"];
    dense: Dense ["Dense"];
    depthwise_convolution: DepthwiseConv1D ["DepthwiseConv1D"], DepthwiseConv2D ["DepthwiseConv2D"];
    dot: Dot ["Dot"];
    dropout: Dropout ["Dropout"];
    einsum_dense: EinsumDense ["EinsumDense"];
    embedding: Embedding ["Embedding"];
    flatten: Flatten ["Flatten"];
    gaussian_dropout: GaussianDropout ["GaussianDropout"];
    gaussian_noise: GaussianNoise ["GaussianNoise"];
    global_pooling:
        GlobalAveragePooling1D ["GlobalAveragePooling1D"],
        GlobalAveragePooling2D ["GlobalAveragePooling2D"],
        GlobalAveragePooling3D ["GlobalAveragePooling3D"],
        GlobalMaxPooling1D ["GlobalMaxPooling1D"],
        GlobalMaxPooling2D ["GlobalMaxPooling2D"],
        GlobalMaxPooling3D ["GlobalMaxPooling3D"];
    group_normalization: GroupNormalization ["GroupNormalization"];
    identity: Identity ["Identity"];
    input: Input ["InputLayer"];
    // Legacy files have the names under which KerasHub registers them.
    keras_hub:
        PositionEmbedding ["PositionEmbedding", "keras_hub>PositionEmbedding"],
        SinePositionEncoding ["SinePositionEncoding", "keras_hub>SinePositionEncoding"],
        TokenAndPositionEmbedding ["TokenAndPositionEmbedding", "keras_hub>TokenAndPositionEmbedding"],
        TransformerEncoder ["TransformerEncoder", "keras_hub>TransformerEncoder"];
    layer_normalization: LayerNormalization ["LayerNormalization"];
    layer_scale: LayerScale ["LayerScale"];
    masking: Masking ["Masking"];
    merging:
        Add ["Add"],
        Average ["Average"],
        Concatenate ["Concatenate"],
        Maximum ["Maximum"],
        Minimum ["Minimum"],
        Multiply ["Multiply"],
        Subtract ["Subtract"];
    normalization: Normalization ["Normalization"];
    permute: Permute ["Permute"];
    pooling:
        AveragePooling1D ["AveragePooling1D"],
        AveragePooling2D ["AveragePooling2D"],
        AveragePooling3D ["AveragePooling3D"],
        MaxPooling1D ["MaxPooling1D"],
        MaxPooling2D ["MaxPooling2D"],
        MaxPooling3D ["MaxPooling3D"];
    prelu: PReLU ["PReLU"];
    preprocessing:
        CategoryEncoding ["CategoryEncoding"],
        Discretization ["Discretization"],
        Hashing ["Hashing"],
        IntegerLookup ["IntegerLookup"],
        StringLookup ["StringLookup"];
    recurrent:
        ConvLSTM1D ["ConvLSTM1D"],
        ConvLSTM2D ["ConvLSTM2D"],
        ConvLSTM3D ["ConvLSTM3D"],
        GRU ["GRU"],
        GRUCell ["GRUCell"],
        LSTM ["LSTM"],
        LSTMCell ["LSTMCell"],
        SimpleRNN ["SimpleRNN"],
        SimpleRNNCell ["SimpleRNNCell"];
    repeat_vector: RepeatVector ["RepeatVector"];
    rescaling: Rescaling ["Rescaling"];
    reshape: Reshape ["Reshape"];
    resizing: Resizing ["Resizing"];
    rms_normalization: RMSNormalization ["RMSNormalization"];
    separable_convolution: SeparableConv1D ["SeparableConv1D"], SeparableConv2D ["SeparableConv2D"];
    spatial_dropout:
        SpatialDropout1D ["SpatialDropout1D"],
        SpatialDropout2D ["SpatialDropout2D"],
        SpatialDropout3D ["SpatialDropout3D"];
    stochastic_depth: StochasticDepth ["StochasticDepth"];
    unit_normalization: UnitNormalization ["UnitNormalization"];
    up_sampling:
        UpSampling1D ["UpSampling1D"],
        UpSampling2D ["UpSampling2D"],
        UpSampling3D ["UpSampling3D"];
    zero_padding:
        ZeroPadding1D ["ZeroPadding1D"],
        ZeroPadding2D ["ZeroPadding2D"],
        ZeroPadding3D ["ZeroPadding3D"];
}

/// A built-in layer that contains others.
pub(crate) struct Wrapper {
    pub class_name: &'static str,
    /// The settings that have what it contains, a layer or a list of layers each. Only the first must be there.
    pub keys: &'static [&'static str],
    pub make: Wrap,
}

/// Makes a wrapper of the layers that each of its keys has, and its other settings.
type Wrap = fn(Vec<Vec<LayerSpec>>, &Settings<'_>) -> Result<Arc<dyn Layer>, Detail>;

/// The only layer of each key.
fn only(contained: Vec<Vec<LayerSpec>>) -> Result<Vec<Option<LayerSpec>>, Detail> {
    let one = |layers: Vec<LayerSpec>| match layers.len() {
        0 | 1 => Ok(layers.into_iter().next()),
        count => Err(Detail::new(
            "layer",
            "one layer",
            format!("a list of {count}"),
        )),
    };
    contained.into_iter().map(one).collect()
}

/// The only layer that a wrapper contains.
fn first(contained: Vec<Vec<LayerSpec>>) -> Result<LayerSpec, Detail> {
    let found = only(contained)?.into_iter().next().flatten();
    found.ok_or_else(|| Detail::new("layer", "one layer", "none"))
}

impl Wrapper {
    /// The one of this class.
    pub fn of(class_name: &str) -> Option<&'static Wrapper> {
        WRAPPERS.iter().find(|it| it.class_name == class_name)
    }
}

/// Every built-in layer that contains others, but those that make them of their own settings.
const WRAPPERS: &[Wrapper] = &[
    Wrapper {
        class_name: "Bidirectional",
        keys: &["layer", "backward_layer"],
        make: |layers, settings| {
            let mut layers = only(layers)?.into_iter();
            let (forward, backward) = (layers.next().flatten(), layers.next().flatten());
            let forward = forward.ok_or_else(|| Detail::new("layer", "one layer", "none"))?;
            let made = Bidirectional::from_layers(forward, backward, settings)?;
            Ok(Arc::new(made))
        },
    },
    Wrapper {
        class_name: "RNN",
        keys: &["cell"],
        make: |cell, settings| Ok(Arc::new(RNN::from_layer(first(cell)?, settings)?)),
    },
    Wrapper {
        class_name: "SpectralNormalization",
        keys: &["layer"],
        make: |layer, settings| {
            let made = SpectralNormalization::from_layer(first(layer)?, settings)?;
            Ok(Arc::new(made))
        },
    },
    Wrapper {
        class_name: "StackedRNNCells",
        keys: &["cells"],
        make: |cells, _| Ok(Arc::new(StackedRNNCells::new(cells.into_iter().flatten()))),
    },
    Wrapper {
        class_name: "TimeDistributed",
        keys: &["layer"],
        make: |layer, _| Ok(Arc::new(TimeDistributed::new(first(layer)?))),
    },
];

/// The class names in [`TABLE`] and [`WRAPPERS`].
pub(crate) fn class_names() -> impl Iterator<Item = &'static str> {
    let layers = TABLE.iter().flat_map(|(names, _)| names.iter().copied());
    layers.chain(WRAPPERS.iter().map(|it| it.class_name))
}

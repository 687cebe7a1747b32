//! Networks that were designed for ImageNet, built natively with Keras' layer names, so that Keras'
//! weight files fit; each with what it expects of images.
//!
//! ```
//! use regraft::applications;
//!
//! let backbone = applications::mobilenet_v2()
//!     .input_shape([96, 96, 3])
//!     .include_top(false)
//!     .pooling("avg")
//!     .build()?; // with `.pretrained()?` not random
//! let images = regraft::ndarray::Array4::<u8>::zeros((2, 96, 96, 3));
//! let features = backbone.predict(&images)?; // preprocessed, then predicted
//! assert_eq!(features.shape(), [2, 1280]);
//! # Ok::<(), regraft::Error>(())
//! ```
//!
//! A family is a file of its own: its `impl` of [`Architecture`] writes the layers with [`Blocks`] in
//! Keras' order of creation (automatic names are counted in that order), and a function per network
//! gives the [`Application`] that builds it. `fixtures/applications_table.py` lists what Keras has.

mod application;
mod backbone;
mod bert;
mod blocks;
mod catalogue;
mod classifier;
mod convnext;
mod densenet;
mod efficientnet;
mod efficientnet_lite;
mod efficientnet_v2;
mod imagenet;
mod inception_blocks;
mod inception_resnet_v2;
mod inception_v3;
mod mobilenet;
mod mobilenet_v2;
mod mobilenet_v3;
mod nasnet;
mod preprocessing;
mod pytorch;
mod recognition;
mod resnet;
#[cfg(test)]
mod tests;
mod vgg;
pub mod weights;
mod xception;

pub use application::{
    Application, Architecture, BuiltInPreprocessing, IntoPooling, Options, Pooling,
};
pub use backbone::Backbone;
pub use bert::{Bert, BertConfig, BertEncoder, BertFamily, BertPooling, bert};
pub use blocks::{Blocks, LayerName};
pub use catalogue::{by_name, names};
pub use convnext::{
    ConvNeXt, convnext_base, convnext_large, convnext_small, convnext_tiny, convnext_xlarge,
};
pub use densenet::{DenseNet, densenet121, densenet169, densenet201};
pub use efficientnet::{
    EfficientNet, efficientnet_b0, efficientnet_b1, efficientnet_b2, efficientnet_b3,
    efficientnet_b4, efficientnet_b5, efficientnet_b6, efficientnet_b7,
};
pub use efficientnet_lite::{
    EfficientNetLite, efficientnet_lite0, efficientnet_lite1, efficientnet_lite2,
    efficientnet_lite3, efficientnet_lite4,
};
pub use efficientnet_v2::{
    EfficientNetV2, efficientnet_v2_b0, efficientnet_v2_b1, efficientnet_v2_b2, efficientnet_v2_b3,
    efficientnet_v2_l, efficientnet_v2_m, efficientnet_v2_s,
};
pub use imagenet::{Prediction, decode_predictions, imagenet_classes};
pub use inception_resnet_v2::{InceptionResNetV2, inception_resnet_v2};
pub use inception_v3::{InceptionV3, inception_v3};
pub use mobilenet::{MobileNet, mobilenet};
pub use mobilenet_v2::{MobileNetV2, mobilenet_v2};
pub use mobilenet_v3::{MobileNetV3, mobilenet_v3_large, mobilenet_v3_small};
pub use nasnet::{NasNet, nasnet_large, nasnet_mobile};
pub use preprocessing::{Preprocessed, Preprocessing};
pub(crate) use pytorch::loading::opened;
pub use pytorch::{Evaluation, FeatureInfo, Library, PyTorchNetwork, timm, torchvision};
pub use resnet::{
    ResNet, ResNetV2, resnet50, resnet50_v2, resnet101, resnet101_v2, resnet152, resnet152_v2,
};
pub use vgg::{Vgg, vgg16, vgg19};
pub use xception::{Xception, xception};

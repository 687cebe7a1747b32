//! Networks that were designed for ImageNet, built natively with Keras' layer names, so that Keras'
//! weight files fit; each with what it expects of images.
//!
//! A family is a file of its own: its `impl` of [`Architecture`] writes the layers with [`Blocks`] in
//! Keras' order of creation (automatic names are counted in that order), and a function per network
//! gives the [`Application`] that builds it. `fixtures/applications_table.py` lists what Keras has.

mod application;
mod backbone;
mod blocks;
mod densenet;
mod imagenet;
mod inception_blocks;
mod inception_v3;
mod nasnet;
mod preprocessing;
mod stand_in;
mod xception;

pub use application::{
    Application, Architecture, BuiltInPreprocessing, IntoPooling, Options, Pooling,
};
pub use backbone::Backbone;
pub use blocks::Blocks;
pub use densenet::{DenseNet, densenet121, densenet169, densenet201};
pub use imagenet::{Prediction, decode_predictions, imagenet_classes};
pub use inception_v3::{InceptionV3, inception_v3};
pub use nasnet::{NasNet, nasnet_large, nasnet_mobile};
pub use preprocessing::{Preprocessed, Preprocessing};
pub use xception::{Xception, xception};

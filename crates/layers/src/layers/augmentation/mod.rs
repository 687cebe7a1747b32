//! Layers that change images at random while a model is trained, so that it learns what does not matter:
//! where a thing is, how it is turned, what light falls on it.
//!
//! All of them take and give images `(batch, rows, columns, channels)`, have no weights, and leave images as
//! they are in inference and when they are frozen (the few that do not say so). What is drawn depends on
//! the seed of the training, the layer, the step and the sample's place in the batch, so that a run can be
//! repeated and continued. They stand in front of the frozen part of a model, whose outputs are then not
//! kept, since no image comes twice. They have no gradient for the images: what stands before them cannot
//! be trained.

mod aug_mix;
mod auto_contrast;
mod clahe;
mod common;
mod cut_mix;
mod equalization;
mod factor;
mod fill;
mod hsv;
mod max_num_bounding_boxes;
mod mix_up;
mod pipeline;
mod rand_augment;
mod random_brightness;
mod random_color_degeneration;
mod random_color_jitter;
mod random_contrast;
mod random_crop;
mod random_elastic_transform;
mod random_erasing;
mod random_flip;
mod random_gaussian_blur;
mod random_grayscale;
mod random_hue;
mod random_invert;
mod random_perspective;
mod random_posterization;
mod random_rotation;
mod random_saturation;
mod random_sharpness;
mod random_shear;
mod random_translation;
mod random_zoom;
mod rectangle;
mod solarization;
#[cfg(test)]
mod tests;
mod transformation;
mod trivial_augment;

pub use aug_mix::AugMix;
pub use auto_contrast::AutoContrast;
pub use clahe::ContrastLimitedAdaptiveHistogramEqualization;
pub use cut_mix::CutMix;
pub use equalization::Equalization;
pub use factor::Factor;
pub(crate) use fill::Fill;
pub use fill::FillMode;
pub use max_num_bounding_boxes::MaxNumBoundingBoxes;
pub use mix_up::MixUp;
pub use pipeline::Pipeline;
pub use rand_augment::RandAugment;
pub use random_brightness::RandomBrightness;
pub use random_color_degeneration::RandomColorDegeneration;
pub use random_color_jitter::RandomColorJitter;
pub use random_contrast::RandomContrast;
pub use random_crop::RandomCrop;
pub use random_elastic_transform::RandomElasticTransform;
pub use random_erasing::RandomErasing;
pub use random_flip::RandomFlip;
pub use random_gaussian_blur::RandomGaussianBlur;
pub use random_grayscale::RandomGrayscale;
pub use random_hue::RandomHue;
pub use random_invert::RandomInvert;
pub use random_perspective::RandomPerspective;
pub use random_posterization::RandomPosterization;
pub use random_rotation::RandomRotation;
pub use random_saturation::RandomSaturation;
pub use random_sharpness::RandomSharpness;
pub use random_shear::RandomShear;
pub use random_translation::RandomTranslation;
pub use random_zoom::RandomZoom;
pub use solarization::Solarization;
pub use trivial_augment::TrivialAugment;

//! Brightness, contrast, saturation and hue changed at random, one after the other.

use regraft_tensor::Detail;

use super::common::{BoxFormat, ValueRange, ranged, require_colour};
use super::factor::Factor;
use super::transformation::{Draws, Images, Transformation, augmentation};
use super::{RandomBrightness, RandomContrast, RandomHue, RandomSaturation};
use crate::layers::spatial::DataFormat;
use crate::settings::require;

settings! {
    /// While it trains, what [`RandomBrightness`], [`RandomContrast`], [`RandomSaturation`] and [`RandomHue`] do,
    /// in this order, each of them only if its factor is given.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, channels)`, the same; 3 channels for saturation and hue |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | no factor, pixels from 0 to 255 |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_color_jitter/>.
    #[derive(Clone, Debug)]
    pub struct RandomColorJitter as "keras.layers.RandomColorJitter" {
        /// A layer that is yet to be told what to change.
        new()
        value_range: ValueRange = ValueRange::BYTES,
        /// The factor of [`RandomBrightness`].
        brightness as "brightness_factor": Option<Factor> = None,
        /// The factor of [`RandomContrast`].
        contrast as "contrast_factor": Option<Factor> = None,
        /// The factor of [`RandomSaturation`].
        saturation as "saturation_factor": Option<Factor> = None,
        /// The factor of [`RandomHue`].
        hue as "hue_factor": Option<Factor> = None,
        /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
        /// position.
        seed: Option<u64> = None,
        data_format: DataFormat = DataFormat::ChannelsLast,
        bounding_box_format: BoxFormat = BoxFormat(None),
    }
    reading |settings, _it| {
        settings.ignore(&["rng_type"]);
    }
}

impl RandomColorJitter {
    /// The changes in order.
    fn changes(&self) -> Vec<Box<dyn Transformation>> {
        let [low, high] = self.value_range.0;
        let mut changes: Vec<Box<dyn Transformation>> = Vec::new();
        if let Some(factor) = self.brightness {
            changes.push(Box::new(
                RandomBrightness::new(factor).value_range(low, high),
            ));
        }
        if let Some(factor) = self.contrast {
            changes.push(Box::new(RandomContrast::new(factor).value_range(low, high)));
        }
        if let Some(factor) = self.saturation {
            changes.push(Box::new(
                RandomSaturation::new(factor).value_range(low, high),
            ));
        }
        if let Some(factor) = self.hue {
            changes.push(Box::new(RandomHue::new(factor).value_range(low, high)));
        }
        changes
    }
}

augmentation!(RandomColorJitter);
ranged!(RandomColorJitter);

impl Transformation for RandomColorJitter {
    fn check(&self, channels: usize) -> Result<(), Detail> {
        if self.saturation.is_some() || self.hue.is_some() {
            require_colour(channels)?;
        }
        // Keras does not hand the format on to the layers inside.
        let last = !self.data_format.is_channels_first();
        require(last, "data_format", "\"channels_last\"", "channels_first")?;
        self.changes()
            .iter()
            .try_for_each(|change| change.check(channels))
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let mut before = x.to_vec();
        for change in self.changes() {
            change.transform(&before, images, draws, y);
            before.copy_from_slice(y);
        }
        y.copy_from_slice(&before);
    }
}

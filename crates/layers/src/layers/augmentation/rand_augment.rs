//! Some of eleven changes, chosen at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::random::Key;

use super::common::{BoxFormat, ValueRange, ranged, require_gray_or_colour};
use super::factor::{Factor, pair};
use super::fill::check_interpolation;
use super::transformation::{Draws, Images, Transformation, augmentation};
use super::{
    AutoContrast, Equalization, RandomBrightness, RandomColorDegeneration, RandomContrast,
    RandomPosterization, RandomRotation, RandomSharpness, RandomShear, RandomTranslation,
    Solarization,
};
use crate::layers::Interpolation;
use crate::layers::spatial::DataFormat;
use crate::settings::require;

settings! {
    /// While it trains, does `num_ops` of eleven changes one after the other, chosen for the whole batch (one may be
    /// chosen again): shear, translation, rotation, brightness, colour degeneration, contrast, sharpness,
    /// posterization, solarization, [`AutoContrast`], [`Equalization`]; each with `factor`, drawn for each
    /// image.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, 3 or 1)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | 2 changes, `factor` 0.5, bilinear, pixels from 0 to 255 |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/rand_augment/>.
    #[derive(Clone, Debug)]
    pub struct RandAugment as "keras.layers.RandAugment" {
        /// A layer with Keras' defaults.
        new()
        value_range: ValueRange = ValueRange::BYTES,
        /// How many changes there are.
        num_ops: usize = 2,
        /// How strong they are: up to this, or from one to another, each from 0 to 1.
        factor: Factor = Factor::Within(0.5),
        /// How values between pixels are found: `"bilinear"` unless told otherwise, or `"nearest"`.
        interpolation: Interpolation = Interpolation::Bilinear,
        /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
        /// position.
        seed: Option<u64> = None,
        data_format: DataFormat = DataFormat::ChannelsLast,
        bounding_box_format: BoxFormat = BoxFormat(None),
    }
    reading |settings, _it| {
        settings.ignore(&["rng_type"]);
    }
    writing |it, config| {
        config["factor"] = pair(it.factor.range(0.0));
    }
}

augmentation!(RandAugment);
ranged!(RandAugment);

/// The changes that are chosen from.
#[derive(Debug)]
pub(super) struct Changes(Vec<Box<dyn Transformation>>);

impl Changes {
    /// All eleven, or with `geometric` only those that do not need colours.
    pub fn new(
        factor: (f32, f32),
        [low, high]: [f32; 2],
        interpolation: &Interpolation,
        all: bool,
    ) -> Self {
        let both: Factor = factor.into();
        let between = || interpolation.clone();
        let mut changes: Vec<Box<dyn Transformation>> = vec![
            Box::new(RandomShear::new(both, both).interpolation(between())),
            Box::new(RandomTranslation::new(both, both).interpolation(between())),
            Box::new(RandomRotation::new(both).interpolation(between())),
        ];
        if all {
            changes.push(Box::new(RandomBrightness::new(both).value_range(low, high)));
            changes.push(Box::new(
                RandomColorDegeneration::new(both).value_range(low, high),
            ));
            changes.push(Box::new(RandomContrast::new(both).value_range(low, high)));
            changes.push(Box::new(RandomSharpness::new(both).value_range(low, high)));
        }
        let bits = (8.0 * factor.1).floor().max(1.0);
        changes.push(Box::new(
            RandomPosterization::new(bits).value_range(low, high),
        ));
        changes.push(Box::new(
            Solarization::new(both, both).value_range(low, high),
        ));
        changes.push(Box::new(AutoContrast::new().value_range(low, high)));
        changes.push(Box::new(Equalization::new().value_range(low, high)));
        Changes(changes)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn check(&self, channels: usize) -> Result<(), Detail> {
        self.0.iter().try_for_each(|change| change.check(channels))
    }

    /// Does change `number` to `images`, with the random numbers of `key`.
    pub fn make(&self, number: usize, x: &mut [f32], images: Images, key: Key, step: u64) {
        let mut y = vec![0.0; x.len()];
        let draws = Draws::new(key, step);
        self.0[number].transform(x, images, &draws, &mut y);
        x.copy_from_slice(&y);
    }
}

impl Transformation for RandAugment {
    fn check(&self, channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", 0.0, 1.0)?;
        require(
            self.num_ops <= 1000,
            "num_ops",
            "at most 1000",
            self.num_ops,
        )?;
        check_interpolation(&self.interpolation)?;
        self.value_range.check()?;
        require_gray_or_colour(channels)?;
        let last = !self.data_format.is_channels_first();
        require(last, "data_format", "\"channels_last\"", "channels_first")?;
        self.changes().check(channels)
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let changes = self.changes();
        y.copy_from_slice(x);
        let (key, step) = draws.fork();
        for _ in 0..self.num_ops {
            let number = draws.below(changes.len());
            // The second time, a change has the numbers of the first, as in Keras.
            changes.make(number, y, images, key.child(number as u64), step);
        }
    }
}

impl RandAugment {
    fn changes(&self) -> Changes {
        let (factor, range) = (self.factor.range(0.0), self.value_range.0);
        Changes::new(factor, range, &self.interpolation, true)
    }
}

//! Rectangles of images taken away at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::{BoxFormat, ValueRange, ranged};
use super::factor::{Factor, pair};
use super::rectangle::Rectangle;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;
use crate::settings::require;

settings! {
    /// While it trains, takes away a rectangle of an image with a probability that is drawn evenly from
    /// `factor` for each. Its rows are a share `√s` of the image's, and its columns too, each with an `s` of its
    /// own from `scale`; its place is drawn evenly.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, channels)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | `factor` 1, `scale` from 0.02 to 0.33, filled with noise, pixels from 0 to 255 |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_erasing/>.
    #[derive(Clone, Debug)]
    pub struct RandomErasing as "keras.layers.RandomErasing" {
        /// A layer that changes an image with a probability up to `factor`, or from one to another.
        new(factor: Factor = 1.0)
        factor: Factor = factor,
        /// How large the rectangles are: up to this share of the image, or from one to another.
        scale: Factor = Factor::Between(0.02, 0.33),
        /// What is put there: a number, or one for each of three channels; normally distributed noise unless
        /// told otherwise.
        fill_value: Option<Vec<f32>> = None,
        value_range: ValueRange = ValueRange::BYTES,
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
        config["scale"] = pair(it.scale.range(0.0));
    }
}

augmentation!(RandomErasing);
ranged!(RandomErasing);

impl Transformation for RandomErasing {
    fn check(&self, channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", 0.0, 1.0)?;
        self.scale.check("scale", 0.0, 1.0)?;
        if let Some(values) = &self.fill_value {
            let fits = values.len() == 1 || (values.len() == 3 && channels == 3);
            require(
                fits,
                "fill_value",
                "a number, or one for each of three channels",
                values,
            )?;
        }
        self.value_range.check()
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let (low, high) = self.scale.range(0.0);
        let areas = draws.uniform(2 * images.samples, (low, high));
        let shares: Vec<[f32; 2]> = areas
            .chunks(2)
            .map(|s| [s[1].sqrt(), s[0].sqrt()])
            .collect();
        let rectangles = Rectangle::draw(images, &shares, draws);
        let chosen = draws.chances(images.samples, self.factor.range(0.0));
        let noise = match self.fill_value {
            Some(_) => Vec::new(),
            None => draws.normal(x.len()),
        };
        let range = self.value_range;
        each_sample(y, images.row(), 2, |sample, y| {
            let start = sample * images.row();
            y.copy_from_slice(&x[start..][..images.row()]);
            if !chosen[sample] {
                return;
            }
            for (place, y) in y.chunks_exact_mut(images.channels).enumerate() {
                let (row, column) = (place / images.columns, place % images.columns);
                if !rectangles[sample].contains(row, column) {
                    continue;
                }
                for (channel, y) in y.iter_mut().enumerate() {
                    let value = match &self.fill_value {
                        Some(values) => values[channel % values.len()],
                        None => noise[start + place * images.channels + channel] * range.0[1],
                    };
                    *y = range.clip(value);
                }
            }
        });
    }
}

//! Images wobbled at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::{BoxFormat, ValueRange, ranged};
use super::factor::{Factor, pair};
use super::fill::{FillMode, filling};
use super::random_gaussian_blur::bell;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::Interpolation;
use crate::layers::spatial::DataFormat;

settings! {
    /// While it trains, moves the pixels of an image with a probability that is drawn evenly from `factor` for
    /// each. How far is smoothed noise, the same in both directions as in Keras; `s`, drawn from `scale` for the
    /// whole batch, makes it stronger (`0.1 s` of the longer side) and smoother (`0.05 s` of the shorter
    /// one).
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, channels)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | `factor` 1, `scale` up to 1, bilinear, reflected outside, pixels from 0 to 255 |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_elastic_transform/>.
    #[derive(Clone, Debug)]
    pub struct RandomElasticTransform as "keras.layers.RandomElasticTransform" {
        /// A layer that changes an image with a probability up to `factor`, or from one to another.
        new(factor: Factor = 1.0)
        factor: Factor = factor,
        /// How strong the change is at most, or from one strength to another, each from 0 to 1.
        scale: Factor = Factor::Within(1.0),
        value_range: ValueRange = ValueRange::BYTES,
        /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
        /// position.
        seed: Option<u64> = None,
        /// What is seen where there is no image: `"reflect"` unless told otherwise.
        fill_mode: FillMode = FillMode::Reflect,
        /// The number that is seen there with `"constant"`; 0 unless told otherwise.
        fill_value: f32 = 0.0,
        /// How values between pixels are found: `"bilinear"` unless told otherwise, or `"nearest"`.
        interpolation: Interpolation = Interpolation::Bilinear,
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

augmentation!(RandomElasticTransform);
ranged!(RandomElasticTransform);
filling!(RandomElasticTransform);

/// Each number of `rows × columns` a mean of those around it, weighted by a bell, zeros outside.
fn smooth(x: &[f32], [rows, columns]: [usize; 2], weights: &[f32]) -> Vec<f32> {
    let reach = weights.len() / 2;
    let mean = |place: usize, length: usize, at: &dyn Fn(usize) -> f32| -> f32 {
        let first = place.saturating_sub(reach);
        let end = (place + reach + 1).min(length);
        (first..end)
            .map(|from| weights[from + reach - place] * at(from))
            .sum()
    };
    let mut across = vec![0.0; x.len()];
    for row in 0..rows {
        for column in 0..columns {
            let at = |column| x[row * columns + column];
            across[row * columns + column] = mean(column, columns, &at);
        }
    }
    let mut both = vec![0.0; x.len()];
    for row in 0..rows {
        for column in 0..columns {
            let at = |row| across[row * columns + column];
            both[row * columns + column] = mean(row, rows, &at);
        }
    }
    both
}

impl RandomElasticTransform {
    /// The pixel that is seen at `place` along an axis of `length` pixels, as Keras has it.
    fn inside(&self, place: i64, length: usize) -> Option<usize> {
        let size = length as i64;
        let seen = match self.fill().mode {
            FillMode::Constant => (0..size).contains(&place).then_some(place)?,
            FillMode::Nearest => place,
            FillMode::Wrap => place.rem_euclid(size),
            FillMode::Reflect | FillMode::Unknown(_) => match place.abs() % (2 * size) {
                under if under < size => under,
                over => 2 * size - over - 1,
            },
        };
        Some(seen.clamp(0, size - 1) as usize)
    }

    /// The pixels around `place` and their weights.
    fn around(&self, place: f32) -> [(i64, f32); 2] {
        if self.interpolation == Interpolation::Nearest {
            return [(place.round_ties_even() as i64, 1.0), (0, 0.0)];
        }
        let below = place.floor();
        let share = place - below;
        [(below as i64, 1.0 - share), (below as i64 + 1, share)]
    }
}

impl Transformation for RandomElasticTransform {
    fn check(&self, _channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", 0.0, 1.0)?;
        self.scale.check("scale", 0.0, 1.0)?;
        self.fill().check()?;
        self.value_range.check()
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let scale = draws.one(self.scale.range(0.0));
        let [rows, columns, channels] = images.size();
        let sigma = rows.min(columns) as f32 * (0.05 * scale);
        let alpha = rows.max(columns) as f32 * (0.1 * scale);
        if self.scale.range(0.0).1 == 0.0 || self.factor.range(0.0).1 == 0.0 {
            return y.copy_from_slice(x);
        }
        let chosen = draws.chances(images.samples, self.factor.range(0.0));
        let cells = rows * columns;
        let noise = draws.normal(images.samples * cells);
        let weights = bell((6 * sigma as usize) | 1, sigma.max(f32::MIN_POSITIVE));
        let cost = 2 * weights.len() + 16;
        each_sample(y, images.row(), cost, |sample, y| {
            let x = &x[sample * images.row()..][..images.row()];
            y.copy_from_slice(x);
            if chosen[sample] {
                let noise: Vec<f32> = noise[sample * cells..][..cells]
                    .iter()
                    .map(|number| number * sigma)
                    .collect();
                let moved = smooth(&noise, [rows, columns], &weights);
                for (place, y) in y.chunks_exact_mut(channels).enumerate() {
                    let far = alpha * moved[place];
                    let in_rows = self.around((place / columns) as f32 + far);
                    let in_columns = self.around((place % columns) as f32 + far);
                    y.fill(0.0);
                    for (row, of_row) in in_rows {
                        for (column, of_column) in in_columns {
                            let (weight, row) = (of_row * of_column, self.inside(row, rows));
                            let pixel = row.zip(self.inside(column, columns));
                            for (channel, y) in y.iter_mut().enumerate() {
                                *y += weight
                                    * pixel.map_or(self.fill_value, |(row, column)| {
                                        x[(row * columns + column) * channels + channel]
                                    });
                            }
                        }
                    }
                }
            }
            y.iter_mut().for_each(|y| *y = self.value_range.clip(*y));
        });
    }
}

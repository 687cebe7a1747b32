//! Images wobbled at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;
use serde_json::json;

use super::common::{Common, ValueRange};
use super::factor::{Factor, pair};
use super::fill::{Fill, FillMode, filling};
use super::random_gaussian_blur::bell;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::{Interpolation, object};
use crate::settings::{FromSettings, Map, Settings};

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
pub struct RandomElasticTransform {
    factor: Factor,
    scale: Factor,
    pub(crate) fill: Fill,
    value_range: ValueRange,
    common: Common,
}

impl RandomElasticTransform {
    /// A layer that changes an image with a probability up to `factor`, or from one to another.
    pub fn new(factor: impl Into<Factor>) -> Self {
        RandomElasticTransform {
            factor: factor.into(),
            scale: Factor::Within(1.0),
            fill: Fill::default(),
            value_range: ValueRange::BYTES,
            common: Common::default(),
        }
    }

    /// How strong the change is at most, or from one strength to another, each from 0 to 1.
    #[must_use]
    pub fn scale(mut self, scale: impl Into<Factor>) -> Self {
        self.scale = scale.into();
        self
    }

    /// The least and the largest value of pixels; 0 and 255 unless told otherwise.
    #[must_use]
    pub fn value_range(mut self, low: f32, high: f32) -> Self {
        self.value_range = ValueRange([low, high]);
        self
    }
}

augmentation!(RandomElasticTransform);
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
        let seen = match self.fill.mode {
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
        if self.fill.interpolation == Interpolation::Nearest {
            return [(place.round_ties_even() as i64, 1.0), (0, 0.0)];
        }
        let below = place.floor();
        let share = place - below;
        [(below as i64, 1.0 - share), (below as i64 + 1, share)]
    }
}

impl Transformation for RandomElasticTransform {
    fn common(&self) -> &Common {
        &self.common
    }

    fn settings(&self) -> Map {
        let mut config = object(json!({
            "factor": pair(self.factor.range(0.0)),
            "scale": pair(self.scale.range(0.0)),
            "value_range": self.value_range.serialize(),
            "seed": self.common.seed,
        }));
        self.fill.write(&mut config);
        config
    }

    fn check(&self, _channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", 0.0, 1.0)?;
        self.scale.check("scale", 0.0, 1.0)?;
        self.fill.check()?;
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
                                    * pixel.map_or(self.fill.value, |(row, column)| {
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

impl FromSettings for RandomElasticTransform {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(RandomElasticTransform {
            factor: settings.factor("factor", 1.0)?,
            scale: settings.factor("scale", 1.0)?,
            fill: Fill::from_settings(settings)?,
            value_range: settings.value_range()?,
            common: Common::from_settings(settings)?,
        })
    }
}

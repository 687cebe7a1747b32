//! Rectangles of images taken away at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;
use serde_json::json;

use super::common::{Common, ValueRange};
use super::factor::{Factor, pair};
use super::rectangle::Rectangle;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::object;
use crate::settings::{FromSettings, Map, Settings, require};

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
pub struct RandomErasing {
    factor: Factor,
    scale: Factor,
    fill_value: Option<Vec<f32>>,
    value_range: ValueRange,
    common: Common,
}

impl RandomErasing {
    /// A layer that changes an image with a probability up to `factor`, or from one to another.
    pub fn new(factor: impl Into<Factor>) -> Self {
        RandomErasing {
            factor: factor.into(),
            scale: Factor::Between(0.02, 0.33),
            fill_value: None,
            value_range: ValueRange::BYTES,
            common: Common::default(),
        }
    }

    /// How large the rectangles are: up to this share of the image, or from one to another.
    #[must_use]
    pub fn scale(mut self, scale: impl Into<Factor>) -> Self {
        self.scale = scale.into();
        self
    }

    /// What is put there: a number, or one for each of three channels; normally distributed noise unless
    /// told otherwise.
    #[must_use]
    pub fn fill_value(mut self, value: impl Into<Vec<f32>>) -> Self {
        self.fill_value = Some(value.into());
        self
    }

    /// The least and the largest value of pixels; 0 and 255 unless told otherwise.
    #[must_use]
    pub fn value_range(mut self, low: f32, high: f32) -> Self {
        self.value_range = ValueRange([low, high]);
        self
    }
}

augmentation!(RandomErasing);

impl Transformation for RandomErasing {
    fn common(&self) -> &Common {
        &self.common
    }

    fn settings(&self) -> Map {
        let fill = self.fill_value.as_deref().map(crate::settings::numbers);
        object(json!({
            "factor": pair(self.factor.range(0.0)),
            "scale": pair(self.scale.range(0.0)),
            "fill_value": fill,
            "value_range": self.value_range.serialize(),
            "seed": self.common.seed,
        }))
    }

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

impl FromSettings for RandomErasing {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let scale = settings.optional_factor("scale")?;
        Ok(RandomErasing {
            factor: settings.factor("factor", 1.0)?,
            scale: scale.unwrap_or(Factor::Between(0.02, 0.33)),
            fill_value: settings.numbers("fill_value")?,
            value_range: settings.value_range()?,
            common: Common::from_settings(settings)?,
        })
    }
}

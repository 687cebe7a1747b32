//! Images blurred at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::{BoxFormat, ValueRange, ranged};
use super::factor::{Factor, pair};
use super::random_sharpness::weighted_sums;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;
use crate::layers::spatial::Sizes;
use crate::settings::require;

settings! {
    /// While it trains, blurs an image with a probability that is drawn evenly from `factor` for each, with a
    /// bell of `kernel_size` pixels; its widths in both directions are drawn from `sigma` for the whole
    /// batch.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, channels)`, the same; zeros outside |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | `factor` 1, 3 by 3 pixels, `sigma` up to 1, pixels from 0 to 255 |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_gaussian_blur/>.
    #[derive(Clone, Debug)]
    pub struct RandomGaussianBlur as "keras.layers.RandomGaussianBlur" {
        /// A layer that blurs an image with a probability up to `factor`, or from one to another.
        new(factor: Factor = 1.0)
        factor: Factor = factor,
        /// How many pixels count, an odd number; 3 unless told otherwise.
        kernel_size: Sizes<2> = 3,
        /// How wide the bell is at most, or from one width to another, each from 0 to 1.
        sigma: Factor = Factor::Within(1.0),
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
        config["sigma"] = pair(it.sigma.range(0.0));
    }
}

augmentation!(RandomGaussianBlur);
ranged!(RandomGaussianBlur);

/// A bell of `size` numbers that sum to 1.
pub(super) fn bell(size: usize, sigma: f32) -> Vec<f32> {
    let middle = (size as f32 - 1.0) / 2.0;
    let height = |place: usize| {
        let far = (place as f32 - middle) / sigma;
        (-0.5 * far * far).exp()
    };
    let heights: Vec<f32> = (0..size).map(height).collect();
    let sum: f32 = heights.iter().sum();
    heights.into_iter().map(|height| height / sum).collect()
}

impl Transformation for RandomGaussianBlur {
    fn check(&self, _channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", 0.0, 1.0)?;
        self.sigma.check("sigma", 0.0, 1.0)?;
        let odd = self
            .kernel_size
            .0
            .iter()
            .all(|size| size % 2 == 1 && *size < 100);
        require(
            odd,
            "kernel_size",
            "odd numbers below 100",
            self.kernel_size.0,
        )?;
        self.value_range.check()
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let chosen = draws.chances(images.samples, self.factor.range(0.0));
        let widths = draws.uniform(2, self.sigma.range(0.0));
        // As Keras has it: the first width goes with the first size, along the columns.
        let across = bell(self.kernel_size.0[0], widths[0] + 1e-6);
        let down = bell(self.kernel_size.0[1], widths[1] + 1e-6);
        let row = |down: &f32| {
            across
                .iter()
                .map(move |across| down * across)
                .collect::<Vec<_>>()
        };
        let weights: Vec<f32> = down.iter().flat_map(row).collect();
        let cost = 2 * weights.len();
        each_sample(y, images.row(), cost, |sample, y| {
            let x = &x[sample * images.row()..][..images.row()];
            match chosen[sample] {
                true => weighted_sums(x, images.size(), &weights, self.kernel_size.0, y),
                false => y.copy_from_slice(x),
            }
            y.iter_mut().for_each(|y| *y = self.value_range.clip(*y));
        });
    }
}

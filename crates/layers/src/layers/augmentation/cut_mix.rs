//! Rectangles of images put in the place of others.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::BoxFormat;
use super::factor::{Factor, pair};
use super::rectangle::Rectangle;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;

settings! {
    /// While it trains, puts a rectangle of another image of the batch in its place into each image. Its share of the
    /// image is of a beta distribution, both of whose parameters are a number drawn from `factor` for the
    /// batch; its place is drawn evenly. Targets are not mixed (Keras mixes them only where images and labels go
    /// through the layer together, in a pipeline of data).
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, channels)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | `factor` 1 |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/cut_mix/>.
    #[derive(Clone, Debug)]
    pub struct CutMix as "keras.layers.CutMix" {
        /// A layer for numbers up to `factor`, or from one to another, each from 0 to 1.
        new(factor: Factor = 1.0)
        factor: Factor = factor,
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

augmentation!(CutMix);

impl Transformation for CutMix {
    fn check(&self, _channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", 0.0, 1.0)
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let alpha = draws.one(self.factor.range(0.0)) + 1e-6;
        let weights = draws.beta(images.samples, f64::from(alpha));
        let shares: Vec<[f32; 2]> = weights.iter().map(|w| [(1.0 - w).sqrt(); 2]).collect();
        let rectangles = Rectangle::draw(images, &shares, draws);
        let order = draws.permutation(images.samples);
        let row = images.row();
        each_sample(y, row, 1, |sample, y| {
            let (own, other) = (&x[sample * row..], &x[order[sample] as usize * row..]);
            for (place, y) in y.chunks_exact_mut(images.channels).enumerate() {
                let (row, column) = (place / images.columns, place % images.columns);
                let from = match rectangles[sample].contains(row, column) {
                    true => other,
                    false => own,
                };
                y.copy_from_slice(&from[place * images.channels..][..images.channels]);
            }
        });
    }
}

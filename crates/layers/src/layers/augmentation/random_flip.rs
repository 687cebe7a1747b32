//! Images mirrored at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::BoxFormat;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;
use crate::settings::require;

settings! {
    /// While it trains, mirrors each image with probability one half: left and right, top and bottom, or
    /// both (then always both together, as Keras 3 does; read from a file of Keras 2, each on its own).
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, channels)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | `"horizontal_and_vertical"` |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_flip/>.
    #[derive(Clone, Debug)]
    pub struct RandomFlip as "keras.layers.RandomFlip" {
        /// A layer that mirrors `"horizontal"`ly, `"vertical"`ly, or `"horizontal_and_vertical"`ly.
        new(mode: String = "horizontal_and_vertical")
        mode: String = mode,
        /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
        /// position.
        seed: Option<u64> = None,
        data_format: DataFormat = DataFormat::ChannelsLast,
        bounding_box_format: BoxFormat = BoxFormat(None),
    }
    state { independent: bool = false }
    reading |settings, it| {
        // Only Keras 2 writes this.
        it.independent = settings.value("rng_type").is_some();
    }
}

augmentation!(RandomFlip);

impl Transformation for RandomFlip {
    fn check(&self, _channels: usize) -> Result<(), Detail> {
        let known = ["horizontal", "vertical", "horizontal_and_vertical"];
        let fits = known.contains(&self.mode.as_str());
        require(fits, "mode", &format!("one of {known:?}"), &self.mode)
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let chances = || draws.uniform(images.samples, (0.0, 1.0));
        let horizontal = chances();
        let vertical = match self.independent {
            true => chances(),
            false => horizontal.clone(),
        };
        let [rows, columns, channels] = images.size();
        each_sample(y, images.row(), 1, |sample, y| {
            let x = &x[sample * images.row()..][..images.row()];
            let left_right = self.mode != "vertical" && horizontal[sample] <= 0.5;
            let top_bottom = self.mode != "horizontal" && vertical[sample] <= 0.5;
            for (place, y) in y.chunks_exact_mut(channels).enumerate() {
                let (mut row, mut column) = (place / columns, place % columns);
                if top_bottom {
                    row = rows - 1 - row;
                }
                if left_right {
                    column = columns - 1 - column;
                }
                y.copy_from_slice(&x[(row * columns + column) * channels..][..channels]);
            }
        });
    }
}

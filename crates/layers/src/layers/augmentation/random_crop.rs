//! A part of an image at a random place.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::BoxFormat;
use super::transformation::{self, Draws, Images, Transformation, common};
use crate::layers::Interpolation;
use crate::layers::resizing::crop_to_ratio;
use crate::layers::spatial::DataFormat;
use crate::layers::spatial::{in_format, require_cells, spatial_sizes};
use crate::{Call, Layer, Weights};

settings! {
    /// While it trains, takes `height` rows and `width` columns at a place that is drawn for the whole
    /// batch; images that are not larger in both directions are brought to that size (bilinear).
    ///
    /// In inference, and frozen, images stay as they are, as in Keras 3: what follows must take images of
    /// both sizes (as convolutions and global pooling do). Read from a file of Keras 2 they are brought to
    /// the size as Keras 2 does, by the largest part in the middle that has the ratio.
    ///
    /// | | |
    /// |---|---|
    /// | input | `(batch, rows, columns, channels)` |
    /// | output | `(batch, height, width, channels)` in training, as the input in inference |
    /// | weights | none |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_crop/>.
    #[derive(Clone, Debug)]
    pub struct RandomCrop as "keras.layers.RandomCrop" {
        /// A layer that takes a part of this size.
        new(height: usize, width: usize)
        height: usize = height,
        width: usize = width,
        /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
        /// position.
        seed: Option<u64> = None,
        data_format: DataFormat = DataFormat::ChannelsLast,
        bounding_box_format: BoxFormat = BoxFormat(None),
    }
    state { always: bool = false }
    reading |settings, it| {
        // Only Keras 2 writes this.
        it.always = settings.value("rng_type").is_some();
    }
    writing |it, config| {
        // Keras always has one here.
        config["seed"] = it.seed.unwrap_or(0).into();
    }
}

impl RandomCrop {
    /// Takes and gives images with the channels first, as Keras does with
    /// `data_format="channels_first"`: they are turned before and after.
    #[must_use]
    pub fn channels_first(mut self) -> Self {
        self.data_format = DataFormat::ChannelsFirst;
        self
    }

    fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }
}

common!(RandomCrop);

impl Transformation for RandomCrop {
    fn check(&self, _channels: usize) -> Result<(), Detail> {
        require_cells("height, width", 1, &self.size())
    }

    fn output_size(&self, _size: [usize; 2]) -> [usize; 2] {
        self.size()
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        // Only for images that are large enough.
        let top = draws.below(images.rows - self.height + 1);
        let left = draws.below(images.columns - self.width + 1);
        let channels = images.channels;
        let wide = self.width * channels;
        each_sample(y, self.height * wide, 1, |sample, y| {
            let x = &x[sample * images.row()..][..images.row()];
            for (row, y) in y.chunks_exact_mut(wide).enumerate() {
                let start = ((top + row) * images.columns + left) * channels;
                y.copy_from_slice(&x[start..][..wide]);
            }
        });
    }
}

impl Layer for RandomCrop {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        transformation::check(self, inputs)
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let (x, size) = (inputs[0], self.size());
        if !call.training() && !self.always {
            return x;
        }
        let mut larger = false;
        in_format(x, self.data_format.is_channels_first(), |x| {
            let [rows, columns] = spatial_sizes(x);
            larger = rows > self.height && columns > self.width;
            x
        });
        if call.training() && larger {
            return transformation::apply(self, call, x);
        }
        in_format(x, self.data_format.is_channels_first(), |x| {
            let sizes: [usize; 2] = spatial_sizes(x);
            if sizes == size {
                return x;
            }
            // Keras 3 cuts from the corner that a place in the middle begins at; what is left is
            // brought to the size.
            Interpolation::Bilinear.resize(self.middle(x), size, false)
        })
    }
}

impl RandomCrop {
    /// What is left of images that are not larger than the part in both directions.
    fn middle<'g>(&self, x: Var<'g>) -> Var<'g> {
        if self.always {
            return crop_to_ratio(x, self.size());
        }
        let [rows, columns]: [usize; 2] = spatial_sizes(x);
        let fitting = |own: usize, other: usize, of: usize, by: usize| {
            // Keras divides 64-bit numbers.
            let share = ((other * of) as f64 / by as f64) as usize;
            (own - own.min(share).max(1)) / 2
        };
        let top = fitting(rows, columns, self.height, self.width);
        let left = fitting(columns, rows, self.width, self.height);
        let after = |size: usize, start: usize, part: usize| size - (start + part).min(size);
        let bottom = after(rows, top, self.height);
        let right = after(columns, left, self.width);
        x.crop(&[(0, 0), (top, bottom), (left, right), (0, 0)])
    }
}

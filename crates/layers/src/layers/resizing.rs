//! Images of another size.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::interpolation::Interpolation;
use super::spatial::{Borders, DataFormat, image, in_format, require_cells, spatial_sizes};
use crate::settings::{require, require_finite};
use crate::{Call, Flow, Layer, Weights};

settings! {
    /// Brings images to `height` rows and `width` columns.
    ///
    /// | | |
    /// |---|---|
    /// | input | `(batch, rows, columns, channels)` |
    /// | output | `(batch, height, width, channels)` |
    /// | weights | none; being frozen changes nothing |
    /// | defaults | bilinear, not smoothed; the aspect ratio changes with the size |
    ///
    /// With [`crop_to_aspect_ratio`](Self::crop_to_aspect_ratio) the largest part in the middle that has
    /// the ratio of the new size is taken first; with
    /// [`pad_to_aspect_ratio`](Self::pad_to_aspect_ratio) `fill_value` is put on both sides of what lacks
    /// (as many cells on each, so that of an odd number one less, as in Keras).
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_preprocessing/resizing/>.
    #[derive(Clone, Debug)]
    pub struct Resizing as "keras.layers.Resizing" {
        /// A layer that makes images of this size.
        new(height: usize, width: usize)
        height: usize = height,
        width: usize = width,
        /// How values between pixels are found: `"bilinear"` unless told otherwise.
        interpolation: Interpolation = Interpolation::Bilinear,
        /// Whether the images are first cut so that their aspect ratio stays.
        crop_to_aspect_ratio: bool = false,
        /// Whether the images first get borders so that their aspect ratio stays.
        pad_to_aspect_ratio: bool = false,
        /// What stands in those borders; 0 unless told otherwise.
        fill_value: f32 = 0.0,
        /// Whether what becomes smaller is smoothed, so that every pixel of the image counts.
        antialias: bool = false,
        data_format: DataFormat = DataFormat::ChannelsLast,
    }
    reading |settings, _it| {
        settings.only("fill_mode", "constant")?;
    }
    writing |_it, config| {
        config.shift_insert(5, "fill_mode".to_string(), "constant".into());
    }
}

impl Resizing {
    /// Takes and gives images with the channels first, as Keras does with
    /// `data_format="channels_first"`: they are turned before and after.
    #[must_use]
    pub fn channels_first(mut self) -> Self {
        self.data_format = DataFormat::ChannelsFirst;
        self
    }
}

/// The sizes that would go with each of those of an image, were its ratio that of `target`.
fn in_proportion([rows, columns]: [usize; 2], [height, width]: [usize; 2]) -> [usize; 2] {
    // Keras divides 32-bit numbers.
    let share = |size: usize, by: usize, of: usize| ((size * by) as f32 / of as f32) as usize;
    [share(columns, height, width), share(rows, width, height)]
}

/// The largest part in the middle of images that has the ratio of `target`.
pub(super) fn crop_to_ratio(x: Var<'_>, target: [usize; 2]) -> Var<'_> {
    let sizes: [usize; 2] = spatial_sizes(x);
    let fitting = in_proportion(sizes, target);
    let border = |axis: usize| {
        let kept = fitting[axis].clamp(1, sizes[axis]);
        let before = (sizes[axis] - kept) / 2;
        [before, sizes[axis] - kept - before]
    };
    x.crop(&Borders([border(0), border(1)]).of_all_axes(false))
}

/// Images with borders that bring them to the ratio of `target`.
fn pad_to_ratio(x: Var<'_>, target: [usize; 2], value: f32) -> Var<'_> {
    let sizes: [usize; 2] = spatial_sizes(x);
    let fitting = in_proportion(sizes, target);
    let border = |axis: usize| [fitting[axis].saturating_sub(sizes[axis]) / 2; 2];
    x.pad(&Borders([border(0), border(1)]).of_all_axes(false), value)
}

impl Layer for Resizing {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        require_cells("height, width", 1, &[self.height, self.width])?;
        self.interpolation.check()?;
        require_finite("fill_value", self.fill_value)?;
        let both = self.crop_to_aspect_ratio && self.pad_to_aspect_ratio;
        let at = "crop_to_aspect_ratio, pad_to_aspect_ratio";
        require(!both, at, "one of the two at most", both)?;
        let (sizes, _) = image::<2>(inputs, self.data_format.is_channels_first())?;
        require_cells("rows, columns", 1, &sizes)
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let target = [self.height, self.width];
        in_format(inputs[0], self.data_format.is_channels_first(), |mut x| {
            if self.crop_to_aspect_ratio {
                x = crop_to_ratio(x, target);
            } else if self.pad_to_aspect_ratio {
                x = pad_to_ratio(x, target, self.fill_value);
            }
            self.interpolation.resize(x, target, self.antialias)
        })
    }
}

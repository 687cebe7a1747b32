//! The middle of images.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::interpolation::Interpolation;
use super::resizing::crop_to_ratio;
use super::spatial::{Borders, DataFormat, image, in_format, require_cells, spatial_sizes};
use crate::{Call, Flow, Layer, Weights};

settings! {
    /// The middle `height` rows and `width` columns of images; where an odd number is cut off, one more
    /// behind.
    ///
    /// Input `(batch, rows, columns, channels)`, output `(batch, height, width, channels)`. There are no
    /// weights; being frozen changes nothing. Of images that are smaller along an axis, the largest part
    /// in the middle that has the ratio of the new size is [resized](crate::layers::Resizing), bilinearly.
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_preprocessing/center_crop/>.
    #[derive(Clone, Copy, Debug)]
    pub struct CenterCrop as "keras.layers.CenterCrop" {
        /// A layer that keeps this size.
        new(height: usize, width: usize)
        height: usize = height,
        width: usize = width,
        data_format: DataFormat = DataFormat::ChannelsLast,
    }
}

impl CenterCrop {
    /// Takes and gives images with the channels first, as Keras does with
    /// `data_format="channels_first"`.
    #[must_use]
    pub fn channels_first(mut self) -> Self {
        self.data_format = DataFormat::ChannelsFirst;
        self
    }

    /// What is cut off images of these sizes, if they are large enough.
    fn borders(&self, sizes: [usize; 2]) -> Option<Borders<2>> {
        let side = |size: usize, kept: usize| {
            let excess = size.checked_sub(kept)?;
            Some([excess / 2, excess - excess / 2])
        };
        let borders = [side(sizes[0], self.height)?, side(sizes[1], self.width)?];
        Some(Borders(borders))
    }
}

impl Layer for CenterCrop {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        require_cells("height, width", 1, &[self.height, self.width])?;
        let (sizes, _) = image::<2>(inputs, self.data_format.is_channels_first())?;
        require_cells("rows, columns", 1, &sizes)
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        in_format(inputs[0], self.data_format.is_channels_first(), |x| {
            let target = [self.height, self.width];
            match self.borders(spatial_sizes(x)) {
                Some(borders) => x.crop(&borders.of_all_axes(false)),
                None => Interpolation::Bilinear.resize(crop_to_ratio(x, target), target, false),
            }
        })
    }
}

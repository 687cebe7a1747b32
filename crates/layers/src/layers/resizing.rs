//! Images of another size.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::interpolation::Interpolation;
use super::spatial::{Borders, data_format, image, in_format, require_cells, spatial_sizes};
use super::support::object;
use crate::settings::{FromSettings, Settings, number, require, require_finite};
use crate::{Call, Flow, Layer, Weights};

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
pub struct Resizing {
    height: usize,
    width: usize,
    interpolation: Interpolation,
    crop_to_aspect_ratio: bool,
    pad_to_aspect_ratio: bool,
    fill_value: f32,
    antialias: bool,
    channels_first: bool,
}

impl Resizing {
    /// A layer that makes images of this size.
    pub fn new(height: usize, width: usize) -> Self {
        Resizing {
            height,
            width,
            interpolation: Interpolation::Bilinear,
            crop_to_aspect_ratio: false,
            pad_to_aspect_ratio: false,
            fill_value: 0.0,
            antialias: false,
            channels_first: false,
        }
    }

    /// How values between pixels are found: `"bilinear"` unless told otherwise.
    #[must_use]
    pub fn interpolation(mut self, interpolation: impl Into<Interpolation>) -> Self {
        self.interpolation = interpolation.into();
        self
    }

    /// Whether the images are first cut so that their aspect ratio stays.
    #[must_use]
    pub fn crop_to_aspect_ratio(mut self, crop: bool) -> Self {
        self.crop_to_aspect_ratio = crop;
        self
    }

    /// Whether the images first get borders so that their aspect ratio stays.
    #[must_use]
    pub fn pad_to_aspect_ratio(mut self, pad: bool) -> Self {
        self.pad_to_aspect_ratio = pad;
        self
    }

    /// What stands in those borders; 0 unless told otherwise.
    #[must_use]
    pub fn fill_value(mut self, fill_value: f32) -> Self {
        self.fill_value = fill_value;
        self
    }

    /// Whether what becomes smaller is smoothed, so that every pixel of the image counts.
    #[must_use]
    pub fn antialias(mut self, antialias: bool) -> Self {
        self.antialias = antialias;
        self
    }

    /// Takes and gives images with the channels first, as Keras does with
    /// `data_format="channels_first"`: they are turned before and after.
    #[must_use]
    pub fn channels_first(mut self) -> Self {
        self.channels_first = true;
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
    fn class_name(&self) -> &str {
        "Resizing"
    }

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
        let (sizes, _) = image::<2>(inputs, self.channels_first)?;
        require_cells("rows, columns", 1, &sizes)
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let target = [self.height, self.width];
        in_format(inputs[0], self.channels_first, |mut x| {
            if self.crop_to_aspect_ratio {
                x = crop_to_ratio(x, target);
            } else if self.pad_to_aspect_ratio {
                x = pad_to_ratio(x, target, self.fill_value);
            }
            self.interpolation.resize(x, target, self.antialias)
        })
    }

    fn config(&self) -> Map<String, Value> {
        object(json!({
            "height": self.height,
            "width": self.width,
            "interpolation": self.interpolation.name(),
            "crop_to_aspect_ratio": self.crop_to_aspect_ratio,
            "pad_to_aspect_ratio": self.pad_to_aspect_ratio,
            "fill_mode": "constant",
            "fill_value": number(self.fill_value),
            "antialias": self.antialias,
            "data_format": data_format(self.channels_first),
        }))
    }
}

impl FromSettings for Resizing {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        settings.one_of("fill_mode", &[((), "constant")])?;
        Ok(Resizing {
            height: settings.size("height")?,
            width: settings.size("width")?,
            interpolation: settings.text("interpolation", "bilinear")?.into(),
            crop_to_aspect_ratio: settings.flag("crop_to_aspect_ratio", false)?,
            pad_to_aspect_ratio: settings.flag("pad_to_aspect_ratio", false)?,
            fill_value: settings.number("fill_value", 0.0)?,
            antialias: settings.flag("antialias", false)?,
            channels_first: !settings.channels_last()?,
        })
    }
}

//! One of fourteen changes for each image, chosen at random and as strong as chance has it.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::AutoContrast;
use super::common::{BoxFormat, ValueRange, ranged, require_gray_or_colour};
use super::fill::{Fill, FillMode, check_interpolation};
use super::random_sharpness::weighted_sums;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::Interpolation;
use crate::layers::spatial::DataFormat;
use crate::settings::{require, require_finite};

settings! {
    /// While it trains, does one of fourteen changes to each image, chosen anew for each, at one of 31 strengths
    /// from none to the most: TrivialAugment, in its wide form. There is nothing to be tuned.
    ///
    /// | change | at most |
    /// |---|---|
    /// | none, the contrast stretched ([`AutoContrast`]), all levels as often as each other | |
    /// | shear along rows or columns | ±0.99 |
    /// | translation along rows or columns | ±32 pixels |
    /// | rotation | ±135° |
    /// | brightness, colour, contrast, sharpness | times 1 ± 0.99 |
    /// | posterization | to 2 bits |
    /// | solarization | of all that is lighter than 0 |
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, 3 or 1)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | black outside, nearest, pixels from 0 to 255 |
    ///
    /// Müller and Hutter 2021, with Pillow's changes, as their program has them. Keras has no such layer: a file with
    /// it opens there if one is registered under its name.
    #[derive(Clone, Debug)]
    pub struct TrivialAugment as "TrivialAugment" {
        /// A layer with the settings of its authors.
        new()
        value_range: ValueRange = ValueRange::BYTES,
        /// The number that is seen where there is no image; 0 unless told otherwise.
        fill_value: f32 = 0.0,
        /// How values between pixels are found: `"nearest"` unless told otherwise, or `"bilinear"`.
        interpolation: Interpolation = Interpolation::Nearest,
        /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
        /// position.
        seed: Option<u64> = None,
        data_format: DataFormat = DataFormat::ChannelsLast,
        bounding_box_format: BoxFormat = BoxFormat(None),
    }
}

augmentation!(TrivialAugment);
ranged!(TrivialAugment);

/// The changes, with how strong they are: from −1 to 1 where there are two directions, from 0 to 1 elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    None,
    ShearX(f32),
    ShearY(f32),
    TranslateX(f32),
    TranslateY(f32),
    Rotate(f32),
    Brightness(f32),
    Color(f32),
    Contrast(f32),
    Sharpness(f32),
    Posterize(f32),
    Solarize(f32),
    AutoContrast,
    Equalize,
}

/// How many there are.
const CHANGES: usize = 14;
/// The strengths, none among them.
const STRENGTHS: usize = 31;

impl Change {
    /// Change `number`, so strong, in the one direction or the other.
    fn new(number: usize, strength: f32, sign: f32) -> Self {
        let signed = strength * sign;
        match number {
            0 => Change::None,
            1 => Change::ShearX(signed),
            2 => Change::ShearY(signed),
            3 => Change::TranslateX(signed),
            4 => Change::TranslateY(signed),
            5 => Change::Rotate(signed),
            6 => Change::Brightness(signed),
            7 => Change::Color(signed),
            8 => Change::Contrast(signed),
            9 => Change::Sharpness(signed),
            10 => Change::Posterize(strength),
            11 => Change::Solarize(strength),
            12 => Change::AutoContrast,
            _ => Change::Equalize,
        }
    }

    /// Does it to the one image `x`, of bytes.
    fn make(self, x: &[f32], image: Images, fill: &Fill, y: &mut [f32]) {
        const SLANT: f32 = 0.99;
        const PIXELS: f32 = 32.0;
        const DEGREES: f32 = 135.0;
        let bytes = ValueRange::BYTES;
        // Pillow counts from the corner of the first pixel, not from its middle.
        let project = |map: [f32; 6], y: &mut [f32]| {
            let [a, b, c, d, e, f] = map;
            let (c, f) = (c + (a + b - 1.0) / 2.0, f + (d + e - 1.0) / 2.0);
            fill.project(x, image, &[[a, b, c, d, e, f, 0.0, 0.0]], y);
        };
        let each = |y: &mut [f32], level: &dyn Fn(f32) -> f32| {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = bytes.clip(level(x));
            }
        };
        // From something that is drawn over the image to the image, and beyond.
        let blend = |by: f32, y: &mut [f32]| {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = bytes.clip(*y + (1.0 + SLANT * by) * (x - *y));
            }
        };
        match self {
            Change::None => y.copy_from_slice(x),
            Change::ShearX(by) => project([1.0, SLANT * by, 0.0, 0.0, 1.0, 0.0], y),
            Change::ShearY(by) => project([1.0, 0.0, 0.0, SLANT * by, 1.0, 0.0], y),
            Change::TranslateX(by) => project([1.0, 0.0, (PIXELS * by).trunc(), 0.0, 1.0, 0.0], y),
            Change::TranslateY(by) => project([1.0, 0.0, 0.0, 0.0, 1.0, (PIXELS * by).trunc()], y),
            Change::Rotate(by) => {
                let (sin, cos) = (DEGREES * by).to_radians().sin_cos();
                let (across, down) = (image.columns as f32 / 2.0, image.rows as f32 / 2.0);
                let right = across - cos * across + sin * down;
                let below = down - sin * across - cos * down;
                project([cos, -sin, right, sin, cos, below], y);
            }
            Change::Brightness(by) => {
                y.fill(0.0);
                blend(by, y);
            }
            Change::Color(by) => {
                let pixels = x
                    .chunks_exact(image.channels)
                    .zip(y.chunks_exact_mut(image.channels));
                pixels.for_each(|(x, y)| y.fill(level(x)));
                blend(by, y);
            }
            Change::Contrast(by) => {
                let sum: f64 = x
                    .chunks_exact(image.channels)
                    .map(|x| f64::from(level(x)))
                    .sum();
                y.fill((sum / (image.rows * image.columns) as f64 + 0.5).floor() as f32);
                blend(by, y);
            }
            Change::Sharpness(by) => {
                smooth(x, image, y);
                blend(by, y);
            }
            Change::Posterize(by) => {
                let dropped = (6.0 * by).round() as u32;
                each(y, &|x| (u32::from(x as u8) >> dropped << dropped) as f32);
            }
            Change::Solarize(by) => {
                let threshold = 255.0 * (1.0 - by);
                each(y, &|x| if x < threshold { x } else { 255.0 - x });
            }
            Change::AutoContrast => AutoContrast::new().transform(x, image, &Draws::none(), y),
            Change::Equalize => equalize(x, image, y),
        }
    }
}

/// The brightness of a pixel as Pillow has it, a whole level.
fn level(pixel: &[f32]) -> f32 {
    match *pixel {
        [red, green, blue] => (0.299 * red + 0.587 * green + 0.114 * blue).round(),
        _ => pixel[0],
    }
}

/// Each pixel the mean of those around it and of itself five times; those at the border as they are.
fn smooth(x: &[f32], image: Images, y: &mut [f32]) {
    let mut weights = [1.0 / 13.0; 9];
    weights[4] = 5.0 / 13.0;
    weighted_sums(x, image.size(), &weights, [3, 3], y);
    let (row, channels) = (image.columns * image.channels, image.channels);
    let last = x.len() - row;
    for (at, (y, &x)) in y.iter_mut().zip(x).enumerate() {
        let column = at % row;
        if at < row || at >= last || column < channels || column >= row - channels {
            *y = x;
        }
        *y = y.round();
    }
}

/// Every level about as often as each other, channel by channel.
fn equalize(x: &[f32], image: Images, y: &mut [f32]) {
    for channel in 0..image.channels {
        let levels = || {
            x.iter()
                .skip(channel)
                .step_by(image.channels)
                .map(|&x| x as u8)
        };
        let mut counts = [0_usize; 256];
        levels().for_each(|level| counts[usize::from(level)] += 1);
        let last = counts
            .iter()
            .rev()
            .find(|count| **count > 0)
            .copied()
            .unwrap_or(0);
        let step = (counts.iter().sum::<usize>() - last) / 255;
        let mut sum = step / 2;
        let table = counts.map(|count| {
            let level = sum.checked_div(step);
            sum += count;
            level.map(|level| level.min(255) as f32)
        });
        let out = y.iter_mut().skip(channel).step_by(image.channels);
        for (y, level) in out.zip(levels()) {
            *y = table[usize::from(level)].unwrap_or(f32::from(level));
        }
    }
}

impl Transformation for TrivialAugment {
    fn check(&self, channels: usize) -> Result<(), Detail> {
        check_interpolation(&self.interpolation)?;
        require_finite("fill_value", self.fill_value)?;
        self.value_range.check()?;
        require_gray_or_colour(channels)?;
        let last = !self.data_format.is_channels_first();
        require(last, "data_format", "\"channels_last\"", "channels_first")
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let (bytes, range) = (ValueRange::BYTES, self.value_range);
        let numbers = draws.uniform(images.samples, (0.0, CHANGES as f32));
        let strengths = draws.uniform(images.samples, (0.0, STRENGTHS as f32));
        let signs = draws.uniform(images.samples, (-1.0, 1.0));
        let fill = Fill {
            mode: FillMode::Constant,
            value: range.convert(self.fill_value, bytes),
            interpolation: self.interpolation.clone(),
        };
        let image = Images {
            samples: 1,
            ..images
        };
        each_sample(y, images.row(), 20, |sample, y| {
            let number = (numbers[sample] as usize).min(CHANGES - 1);
            let level = (strengths[sample] as usize).min(STRENGTHS - 1);
            let strength = level as f32 / (STRENGTHS - 1) as f32;
            let change = Change::new(number, strength, signs[sample].signum());
            let x = &x[sample * images.row()..][..images.row()];
            let x: Vec<f32> = x.iter().map(|&x| range.convert(x, bytes)).collect();
            change.make(&x, image, &fill, y);
            y.iter_mut().for_each(|y| *y = bytes.convert(*y, range));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{self, name, tensor};

    /// Pillow cuts off what is behind the point.
    const LEVELS: f32 = 1.01;

    #[test]
    fn every_change_is_what_pillow_makes() {
        let mut seen = [false; CHANGES];
        for case in golden::cases("trivial_augment") {
            let config = &case["config"];
            let number = config["change"].as_u64().unwrap() as usize;
            let strength = config["strength"].as_f64().unwrap() as f32;
            let change = Change::new(number, strength.abs(), strength.signum());
            let (x, expected) = (tensor(&case["inputs"]["x"]), tensor(&case["outputs"]["y"]));
            let &[rows, columns, channels] = x.shape() else {
                panic!("an image");
            };
            let image = Images {
                samples: 1,
                rows,
                columns,
                channels,
            };
            let fill = Fill {
                mode: FillMode::Constant,
                value: 0.0,
                interpolation: Interpolation::Nearest,
            };
            let mut y = vec![0.0; x.len()];
            change.make(x.as_slice(), image, &fill, &mut y);
            let pixels = y.chunks(channels).zip(expected.as_slice().chunks(channels));
            let far = pixels.filter(|(y, expected)| {
                y.iter()
                    .zip(*expected)
                    .any(|(y, expected)| (y - expected).abs() > LEVELS)
            });
            // Where a place lies between two pixels, rounding takes the one or the other.
            let allowed = if (1..=5).contains(&number) {
                rows * columns / 50
            } else {
                0
            };
            let far = far.count();
            assert!(far <= allowed, "{}: {far} pixels, {change:?}", name(&case));
            seen[number] = true;
        }
        assert_eq!(seen, [true; CHANGES]);
    }
}

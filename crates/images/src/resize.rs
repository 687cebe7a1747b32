//! Pictures in the size that a model takes.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use regraft_data::Hasher;
use regraft_tensor::Detail;

use crate::{Error, Picture, Result};

/// The size that pictures get, and how.
///
/// By default they are stretched with bilinear interpolation, antialiased as Pillow does it: a pixel is a mean
/// over all that it covers. Keras' `image_dataset_from_directory` and `Resizing` (`tf.image.resize`) do not
/// antialias: [`antialias(false)`](Self::antialias) does as they do. Results are within 2 levels of theirs.
///
/// ```
/// use regraft_images::{Fit, Interpolation, Picture, Resize};
///
/// let picture = Picture::new(40, 20, vec![128; 40 * 20 * 3])?;
/// let resize = Resize::new([224, 224]).interpolation(Interpolation::Bicubic).fit(Fit::Crop);
/// let resized = picture.resize(&resize)?;
/// assert_eq!((resized.height(), resized.width()), (224, 224));
/// # Ok::<(), regraft_images::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resize {
    rows: usize,
    columns: usize,
    interpolation: Interpolation,
    antialias: bool,
    fit: Fit,
}

/// How pixels between pixels are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Interpolation {
    /// The nearest pixel.
    Nearest,
    /// Linear in both directions.
    #[default]
    Bilinear,
    /// Cubic, of Keys with a = −.5.
    Bicubic,
    /// A windowed sinc over 6 pixels.
    Lanczos3,
}

/// What becomes of a picture of another shape than the wanted one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fit {
    /// It is stretched.
    #[default]
    Stretch,
    /// The largest part in its middle that has the shape is taken: Keras' `crop_to_aspect_ratio`.
    Crop,
    /// Black is added on both sides: Keras' `pad_to_aspect_ratio`.
    Pad,
}

const INTERPOLATIONS: [(Interpolation, &str); 4] = [
    (Interpolation::Nearest, "nearest"),
    (Interpolation::Bilinear, "bilinear"),
    (Interpolation::Bicubic, "bicubic"),
    (Interpolation::Lanczos3, "lanczos3"),
];

impl Interpolation {
    /// Keras' name.
    pub fn name(self) -> &'static str {
        let (_, name) = INTERPOLATIONS
            .iter()
            .find(|(interpolation, _)| *interpolation == self)
            .expect("every interpolation has a name");
        name
    }
}

impl fmt::Display for Interpolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Interpolation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = INTERPOLATIONS.iter().find(|(_, known)| *known == name);
        found
            .map(|(interpolation, _)| *interpolation)
            .ok_or_else(|| {
                let names: Vec<&str> = INTERPOLATIONS.iter().map(|(_, name)| *name).collect();
                Error::Set(Detail::new("interpolation", names.join(", "), name))
            })
    }
}

impl Resize {
    /// This number of rows and of columns.
    pub fn new([rows, columns]: [usize; 2]) -> Self {
        Resize {
            rows,
            columns,
            interpolation: Interpolation::default(),
            antialias: true,
            fit: Fit::default(),
        }
    }

    /// How pixels between pixels are made; bilinear by default.
    #[must_use]
    pub fn interpolation(mut self, interpolation: Interpolation) -> Self {
        self.interpolation = interpolation;
        self
    }

    /// Whether a pixel of a smaller picture is made of all that it covers, as by default, or of the few pixels
    /// around its middle.
    #[must_use]
    pub fn antialias(mut self, antialias: bool) -> Self {
        self.antialias = antialias;
        self
    }

    /// What becomes of a picture of another shape; it is stretched by default.
    #[must_use]
    pub fn fit(mut self, fit: Fit) -> Self {
        self.fit = fit;
        self
    }

    /// Rows and columns.
    pub fn size(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// Adds all settings to a hash.
    pub(crate) fn hashed(&self, hasher: Hasher) -> Hasher {
        let fit = match self.fit {
            Fit::Stretch => 0,
            Fit::Crop => 1,
            Fit::Pad => 2,
        };
        let hasher = hasher.number(self.rows as u64).number(self.columns as u64);
        let hasher = hasher.bytes(self.interpolation.name().as_bytes());
        hasher.number(u64::from(self.antialias)).number(fit)
    }

    /// Checks the size before any work is done with it.
    pub(crate) fn check(&self) -> Result<()> {
        let largest = 1 << 15;
        if !(1..=largest).contains(&self.rows) || !(1..=largest).contains(&self.columns) {
            let received = format!("{} × {}", self.rows, self.columns);
            let expected = format!("1 to {largest} rows and columns");
            return Err(Error::Set(Detail::new(
                "the size of pictures",
                expected,
                received,
            )));
        }
        Ok(())
    }
}

impl Picture {
    /// The picture in another size.
    ///
    /// # Errors
    /// [`Error::Set`] if the size is 0 or has more than 32,768 rows or columns.
    pub fn resize(&self, resize: &Resize) -> Result<Picture> {
        resize.check()?;
        let (width, height) = (self.width(), self.height());
        let (rows, columns) = (resize.rows, resize.columns);
        // As Keras divides: in 32 bits, and what is left of a pixel is dropped.
        let fitting =
            |side: usize, over: usize, under: usize| ((side * over) as f32 / under as f32) as usize;
        let pixels = match resize.fit {
            Fit::Stretch => scaled(self.pixels(), [width, height], [columns, rows], resize),
            Fit::Crop => {
                let w = fitting(height, columns, rows).clamp(1, width);
                let h = fitting(width, rows, columns).clamp(1, height);
                let (left, top) = ((width - w) / 2 * 3, (height - h) / 2);
                let all = self.pixels().chunks_exact(width * 3);
                // It is cut out first: what is outside must not shine in.
                let part: Vec<u8> = all
                    .skip(top)
                    .take(h)
                    .flat_map(|row| &row[left..left + w * 3])
                    .copied()
                    .collect();
                scaled(&part, [w, h], [columns, rows], resize)
            }
            // Only one side is padded. The other one gets its size first. As in Keras, both sides get the same, which
            // may be a row less than fits. What is so long and narrow that it would be padded with hundreds of
            // megabytes gets its own size first, and the black then.
            Fit::Pad => {
                let above = fitting(width, rows, columns).saturating_sub(height) / 2;
                let beside = fitting(height, columns, rows).saturating_sub(width) / 2;
                let padded = (height + 2 * above)
                    .saturating_mul(columns)
                    .max((width + 2 * beside).saturating_mul(rows));
                if padded > MOST_PADDED {
                    let inner = [
                        (columns * width / (width + 2 * beside)).max(1),
                        (rows * height / (height + 2 * above)).max(1),
                    ];
                    let small = scaled(self.pixels(), [width, height], inner, resize);
                    in_the_middle(&small, inner, [columns, rows])
                } else if above > 0 {
                    let narrow = scaled(self.pixels(), [width, height], [columns, height], resize);
                    let border = vec![0; above * columns * 3];
                    let padded = [&border[..], &narrow, &border].concat();
                    scaled(
                        &padded,
                        [columns, height + 2 * above],
                        [columns, rows],
                        resize,
                    )
                } else {
                    let low = scaled(self.pixels(), [width, height], [width, rows], resize);
                    let border = vec![0; beside * 3];
                    let padded: Vec<u8> = low
                        .chunks_exact(width * 3)
                        .flat_map(|row| [&border[..], row, &border].concat())
                        .collect();
                    scaled(&padded, [width + 2 * beside, rows], [columns, rows], resize)
                }
            }
        };
        Ok(Picture::new(columns, rows, pixels)?.with_source(self.source().copied()))
    }
}

/// The most pixels of a picture that is padded before it gets its size.
const MOST_PADDED: usize = 1 << 26;

/// RGB pixels on black.
fn in_the_middle(
    pixels: &[u8],
    [width, height]: [usize; 2],
    [columns, rows]: [usize; 2],
) -> Vec<u8> {
    let mut all = vec![0; columns * rows * 3];
    let (left, top) = ((columns - width) / 2, (rows - height) / 2);
    for (row, from) in pixels.chunks_exact(width * 3).enumerate() {
        let at = ((top + row) * columns + left) * 3;
        all[at..at + width * 3].copy_from_slice(from);
    }
    all
}

/// RGB pixels in another size (width, height).
fn scaled(pixels: &[u8], size: [usize; 2], target: [usize; 2], resize: &Resize) -> Vec<u8> {
    let filter = match resize.interpolation {
        Interpolation::Nearest => return nearest(pixels, size, target),
        Interpolation::Bilinear => FilterType::Bilinear,
        Interpolation::Bicubic => FilterType::CatmullRom,
        Interpolation::Lanczos3 => FilterType::Lanczos3,
    };
    let algorithm = match resize.antialias {
        true => ResizeAlg::Convolution(filter),
        false => ResizeAlg::Interpolation(filter),
    };
    resized::<U8x3>(pixels, size, target, algorithm)
}

/// The pixel in which the middle of each new one lies; on a border, the one behind it.
fn nearest(pixels: &[u8], [width, height]: [usize; 2], [columns, rows]: [usize; 2]) -> Vec<u8> {
    let from = |at: usize, side: usize, target: usize| (2 * at + 1) * side / (2 * target);
    let pixels = pixels.as_chunks::<3>().0;
    let mut new = Vec::with_capacity(rows * columns * 3);
    for row in 0..rows {
        let row = &pixels[from(row, height, rows) * width..][..width];
        new.extend((0..columns).flat_map(|column| row[from(column, width, columns)]));
    }
    new
}

/// One channel in another size, as Pillow's Lanczos makes it.
pub(crate) fn lanczos(channel: &[u8], size: [usize; 2], target: [usize; 2]) -> Vec<u8> {
    let algorithm = ResizeAlg::Convolution(FilterType::Lanczos3);
    resized::<U8>(channel, size, target, algorithm)
}

/// The type of pixels is known here: told to the resizer at run time, code for all types would be in every program.
fn resized<P: PixelTrait>(
    pixels: &[u8],
    size: [usize; 2],
    target: [usize; 2],
    algorithm: ResizeAlg,
) -> Vec<u8> {
    thread_local! {
        // It keeps its rooms from picture to picture.
        static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
    }
    if size == target {
        return pixels.to_vec();
    }
    let channels = pixels.len() / (size[0] * size[1]);
    let mut new = vec![0; target[0] * target[1] * channels];
    let from = TypedImageRef::<P>::from_buffer(size[0] as u32, size[1] as u32, pixels)
        .expect("as many pixels as the size says");
    let mut to = TypedImage::<P>::from_buffer(target[0] as u32, target[1] as u32, &mut new)
        .expect("as many pixels as the size says");
    RESIZER
        .with_borrow_mut(|resizer| {
            let options = ResizeOptions::new().resize_alg(algorithm);
            resizer.resize_typed(&from, &mut to, &options)
        })
        .expect("a size that is possible");
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_and_narrow_is_padded_within_little_memory() {
        // Padded first, it would have 3 · 224 · 20 million bytes.
        let long = Picture::new(20_000_000, 1, vec![200; 60_000_000]).unwrap();
        let resize = Resize::new([224, 224]).fit(Fit::Pad);
        let pixels = long.resize(&resize).unwrap().pixels().to_vec();
        let bright = |row: &[u8]| row.iter().all(|&level| level == 200);
        let rows: Vec<bool> = pixels.chunks_exact(224 * 3).map(bright).collect();
        assert_eq!(rows.iter().position(|&bright| bright), Some(111));
        assert_eq!(rows.iter().filter(|&&bright| bright).count(), 1);
    }
}

//! From pixels to what a network was trained on.

use std::borrow::Cow;

use regraft_tensor::{Detail, Tensor};

use crate::training::input::{Data, IntoData, IntoInputs, Values};
use crate::{Error, Result};

/// ImageNet's mean colour (red, green, blue) of pixels from 0 to 1, and the standard deviations.
const TORCH: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

/// ImageNet's mean colour (blue, green, red) of pixels from 0 to 255.
const CAFFE: [f32; 3] = [103.939, 116.779, 123.68];

/// What a network expects of its images, given pixels from 0 to 255 as red, green, blue in the last
/// axis.
///
/// | | of a pixel x | networks |
/// |---|---|---|
/// | `BuiltIn` | x, because the network itself begins with the scaling | EfficientNet, EfficientNetV2, MobileNetV3, ConvNeXt |
/// | `Tf` | x / 127.5 − 1 | MobileNet, MobileNetV2, ResNetV2, Inception, Xception, NASNet |
/// | `Caffe` | blue, green, red, minus (103.939, 116.779, 123.68) | VGG, ResNet |
/// | `Torch` | (x / 255 − mean) / deviation, with (.485, .456, .406) and (.229, .224, .225) | DenseNet; EfficientNet-Lite as PyTorch's files have it |
/// | `Scaled` | x · scale + offset | EfficientNetV2S/M/L without its own scaling; EfficientNet-Lite as TensorFlow's own files have it, with 1 / 128 and −127 / 128 |
///
/// The numbers are those of `preprocess_input`, bit for bit, but the caller's array stays as it was
/// (Keras' changes arrays of floats in place), and nothing can be preprocessed twice: the result is
/// a [`Preprocessed`], which is no image any more, and pixels that do not look like 0 to 255 are
/// refused.
///
/// ```
/// use regraft::applications::Preprocessing;
/// use regraft::ndarray::Array4;
///
/// let images = Array4::<u8>::from_elem((1, 2, 2, 3), 255);
/// let preprocessed = Preprocessing::Tf.apply(&images)?;
/// assert_eq!(preprocessed.as_tensor().as_slice(), [1.0; 12]);
/// assert!(Preprocessing::Tf.apply(preprocessed.as_tensor()).is_err());
/// # Ok::<(), regraft::Error>(())
/// ```
///
/// Keras: <https://keras.io/api/applications/>.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Preprocessing {
    /// Pixels as they are.
    BuiltIn,
    /// To −1..1.
    Tf,
    /// Blue, green, red around 0.
    Caffe,
    /// Each colour to mean 0 and deviation 1.
    Torch,
    /// `x · scale + offset`.
    Scaled {
        /// What pixels are multiplied by.
        scale: f32,
        /// What is added then.
        offset: f32,
    },
}

/// Images as a network takes them: what [`Preprocessing::apply`] gives. `fit`, `predict` and
/// `evaluate` take it, `apply` does not.
#[derive(Clone, Debug)]
pub struct Preprocessed {
    tensor: Tensor,
}

impl Preprocessed {
    /// The numbers, `(samples, rows, columns, channels)`.
    pub fn as_tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// The numbers, `(samples, rows, columns, channels)`.
    pub fn into_tensor(self) -> Tensor {
        self.tensor
    }
}

impl<'a> IntoInputs<'a> for &'a Preprocessed {
    fn into_inputs(self) -> Result<Vec<Data<'a>>> {
        Ok(vec![(&self.tensor).into_data()?])
    }
}

impl Preprocessing {
    /// Preprocesses images `(samples, rows, columns, channels)`: integers, or floats that go from 0
    /// to 255.
    ///
    /// # Errors
    /// [`Error::Data`] for an array of another rank, for other than 3 channels where colours have
    /// numbers of their own, for pixels that are not finite or outside 0..255, and for floats that
    /// go from 0 to 1 only (integers may be as dark as that).
    pub fn apply<'a>(self, images: impl IntoData<'a>) -> Result<Preprocessed> {
        let images = images.into_data()?;
        let shape = images.shape.clone();
        let channels = match (shape.as_slice(), self) {
            ([_, _, _, 3], _) => 3,
            ([_, _, _, channels], Self::BuiltIn | Self::Tf | Self::Scaled { .. }) => *channels,
            _ => {
                let expected = "images (samples, rows, columns, 3)";
                let detail = Detail::new("images", expected, format!("shape {shape:?}"));
                return Err(Error::Data(detail));
            }
        };
        let is_float = matches!(images.values, Values::F32(_));
        let pixels = match images.into_floats().values {
            Values::F32(pixels) => pixels,
            Values::I32(_) | Values::Bytes(_) | Values::Strings(_) => Cow::Borrowed(&[][..]),
        };
        check_range(&pixels, &shape, is_float)?;
        let mut pixels = pixels.into_owned();
        self.convert(&mut pixels, channels);
        let at = |error: regraft_tensor::Error| Error::Data(error.into());
        let tensor = Tensor::new(shape, pixels).map_err(at)?;
        Ok(Preprocessed { tensor })
    }

    /// The formula, on pixels of `channels` numbers each.
    fn convert(self, pixels: &mut [f32], channels: usize) {
        match self {
            Self::BuiltIn => {}
            Self::Tf => pixels.iter_mut().for_each(|x| *x = *x / 127.5 - 1.0),
            Self::Scaled { scale, offset } => {
                pixels.iter_mut().for_each(|x| *x = *x * scale + offset);
            }
            Self::Caffe => {
                for pixel in pixels.chunks_exact_mut(channels) {
                    pixel.reverse();
                    for (x, mean) in pixel.iter_mut().zip(CAFFE) {
                        *x -= mean;
                    }
                }
            }
            Self::Torch => {
                for pixel in pixels.chunks_exact_mut(channels) {
                    for ((x, mean), deviation) in pixel.iter_mut().zip(TORCH.0).zip(TORCH.1) {
                        *x = (*x / 255.0 - mean) / deviation;
                    }
                }
            }
        }
    }
}

/// An error unless the pixels look like 0 to 255.
fn check_range(pixels: &[f32], shape: &[usize], is_float: bool) -> Result<()> {
    let outside = |pixel: &f32| !(0.0..=255.0).contains(pixel);
    if let Some(index) = pixels.iter().position(outside) {
        let sample = index / shape[1..].iter().product::<usize>().max(1);
        let at = format!("images, sample {sample}");
        let detail = Detail::new(at, "pixels from 0 to 255", pixels[index]);
        return Err(Error::Data(detail.help(
            "give the pixels as they come from the file; what is preprocessed already goes straight \
             into `fit` and `predict` of the model",
        )));
    }
    let largest = pixels.iter().copied().fold(0.0, f32::max);
    if is_float && largest > 0.0 && largest <= 1.0 {
        let received = format!("floats of which the largest is {largest}");
        let detail = Detail::new("images", "pixels from 0 to 255", received);
        return Err(Error::Data(detail.help(
            "these look scaled already: multiply by 255; if they really are that dark, give them \
             as integers",
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array4, ArrayView4};

    const ALL: [Preprocessing; 5] = [
        Preprocessing::BuiltIn,
        Preprocessing::Tf,
        Preprocessing::Caffe,
        Preprocessing::Torch,
        Preprocessing::Scaled {
            scale: 1.0 / 128.0,
            offset: -127.0 / 128.0,
        },
    ];

    fn images() -> Array4<f32> {
        Array4::from_shape_fn((2, 3, 2, 3), |(n, i, j, c)| {
            ((n * 97 + i * 31 + j * 17 + c * 50) % 256) as f32
        })
    }

    #[test]
    fn the_callers_array_stays_as_it_was() {
        let (images, before) = (images(), images());
        for preprocessing in ALL {
            preprocessing.apply(&images).unwrap();
            assert_eq!(images, before);
        }
    }

    #[test]
    fn what_is_preprocessed_is_refused() {
        for preprocessing in &ALL[1..] {
            let once = preprocessing.apply(&images()).unwrap();
            for again in ALL {
                let error = again.apply(once.as_tensor()).unwrap_err().to_string();
                assert!(error.contains("from 0 to 255"), "{error}");
            }
        }
    }

    #[test]
    fn scaled_pixels_are_refused_but_dark_integers_are_not() {
        let scaled = images() / 255.0;
        let error = Preprocessing::Tf.apply(&scaled).unwrap_err().to_string();
        assert!(error.contains("multiply by 255"), "{error}");
        assert!(
            Preprocessing::Tf
                .apply(&Array4::<f32>::zeros((1, 2, 2, 3)))
                .is_ok()
        );
        assert!(
            Preprocessing::Tf
                .apply(&Array4::<u8>::ones((1, 2, 2, 3)))
                .is_ok()
        );
        let mut not_finite = images();
        not_finite[[1, 0, 0, 0]] = f32::NAN;
        let error = Preprocessing::Tf
            .apply(&not_finite)
            .unwrap_err()
            .to_string();
        assert!(error.contains("sample 1"), "{error}");
    }

    #[test]
    fn shapes_that_are_no_images_are_refused() {
        let flat = Array4::<u8>::zeros((1, 2, 2, 1));
        assert!(Preprocessing::Caffe.apply(&flat).is_err());
        assert!(Preprocessing::Tf.apply(&flat).is_ok());
        let view: ArrayView4<'_, u8> = flat.view();
        assert!(
            Preprocessing::Tf
                .apply(&view.into_shape_with_order((2, 2)).unwrap())
                .is_err()
        );
    }

    #[test]
    fn every_mode_gives_the_bits_that_keras_gives() {
        let text = include_str!("../../../../fixtures/golden/preprocessing.json");
        let golden: serde_json::Value = serde_json::from_str(text).unwrap();
        let array = |value: &serde_json::Value| {
            let data: Vec<f32> = serde_json::from_value(value["data"].clone()).unwrap();
            Array4::from_shape_vec((1, 4, 16, 3), data).unwrap()
        };
        let cases = golden["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let preprocessing = match case["name"].as_str().unwrap() {
                "tf" => Preprocessing::Tf,
                "caffe" => Preprocessing::Caffe,
                _ => Preprocessing::Torch,
            };
            let images = array(&case["inputs"]["images"]);
            let x = preprocessing.apply(&images).unwrap();
            assert_eq!(
                x.as_tensor().view(),
                array(&case["outputs"]["x"]).view().into_dyn()
            );
        }
    }
}

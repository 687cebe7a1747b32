//! How pictures are cut for published weights.

use super::network::PyTorchNetwork;
use crate::applications::Application;

/// How pictures were cut when the accuracy of published weights was measured: resized until the shorter side is
/// `resized`, antialiased, and the middle of `size` rows and columns taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// The shorter side of the picture before its middle is taken.
    pub resized: usize,
    /// Rows and columns of the middle.
    pub size: usize,
    /// `"bilinear"` or `"bicubic"`.
    pub interpolation: &'static str,
}

impl Application<PyTorchNetwork> {
    /// How pictures are cut for the published weights that are meant; `None` where none are published.
    ///
    /// ```
    /// use regraft::applications::torchvision;
    ///
    /// let evaluation = torchvision::resnet50().evaluation().expect("they are published");
    /// assert_eq!((evaluation.resized, evaluation.size), (232, 224));
    /// ```
    pub fn evaluation(&self) -> Option<Evaluation> {
        self.architecture().published().map(|published| Evaluation {
            resized: published.resized,
            size: published.size,
            interpolation: published.interpolation,
        })
    }
}

#[cfg(feature = "images")]
impl Evaluation {
    /// A picture as the network is given it, before its colours are preprocessed.
    ///
    /// # Errors
    /// As [`Picture::resize`](crate::images::Picture::resize), and for a picture of which the middle reaches over the
    /// border.
    pub fn apply(&self, picture: &crate::images::Picture) -> crate::Result<crate::images::Picture> {
        use regraft_tensor::Detail;

        use crate::images::{Picture, Resize};

        let refused = |error: crate::images::Error| {
            crate::Error::Data(Detail::new("picture", "one that can be resized", error))
        };
        let (width, height) = (picture.width(), picture.height());
        let shorter = width.min(height).max(1);
        // As PyTorch divides: what is left of a pixel is dropped.
        let [width, height] = [width, height].map(|side| side * self.resized / shorter);
        let interpolation = self.interpolation.parse().map_err(refused)?;
        let resize = Resize::new([height, width]).interpolation(interpolation);
        let resized = picture.resize(&resize).map_err(refused)?;
        let fits = width >= self.size && height >= self.size;
        if !fits {
            let expected = format!("at least {0}×{0} pixels after resizing", self.size);
            let received = format!("{height}×{width}");
            return Err(crate::Error::Data(Detail::new(
                "picture", expected, received,
            )));
        }
        let before = |side: usize| ((side - self.size) as f64 / 2.0).round_ties_even() as usize;
        let (left, top) = (before(width), before(height));
        let rows = resized
            .pixels()
            .chunks_exact(3 * width)
            .skip(top)
            .take(self.size);
        let pixels = rows.flat_map(|row| &row[3 * left..3 * (left + self.size)]);
        let pixels = pixels.copied().collect();
        Picture::new(self.size, self.size, pixels).map_err(refused)
    }
}

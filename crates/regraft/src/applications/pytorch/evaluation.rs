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

#[cfg(all(test, feature = "images"))]
mod picture_tests {
    use serde_json::Value;

    use super::*;
    use crate::applications::{timm, torchvision};

    fn application(case: &Value) -> Application<PyTorchNetwork> {
        let name = case["name"].as_str().unwrap();
        match case["library"].as_str().unwrap() {
            "timm" => timm::by_name(name),
            _ => torchvision::by_name(name),
        }
        .unwrap()
    }

    /// Pillow rounds after each axis, and ours once: `images` promises two levels (`golden_images.py`).
    #[test]
    fn pictures_are_cut_and_scaled_as_torchvision_and_timm_do_it() {
        use crate::applications::Architecture;
        use crate::images::{Limits, Picture, decode};

        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
        let text = std::fs::read_to_string(folder.join("golden/evaluation.json")).unwrap();
        let golden: Value = serde_json::from_str(&text).unwrap();
        let step = golden["step"].as_u64().unwrap() as usize;
        let photo = std::fs::read(folder.join("images/photo.png")).unwrap();
        let formula = |row: usize, column: usize, channel: usize| {
            ((row * 7 + column * 13 + row * column / 5 + 50 * channel) % 256) as u8
        };
        let pixels = (0..420 * 500 * 3).map(|at| formula(at / 1500, at / 3 % 500, at % 3));
        let pictures = [
            ("photo", decode(&photo, &Limits::default()).unwrap()),
            ("formula", Picture::new(500, 420, pixels.collect()).unwrap()),
        ];
        for case in golden["cases"].as_array().unwrap() {
            let (name, which) = (
                case["name"].as_str().unwrap(),
                case["picture"].as_str().unwrap(),
            );
            let application = application(case);
            let (_, picture) = pictures.iter().find(|(it, _)| *it == which).unwrap();
            let cut = application.evaluation().unwrap().apply(picture).unwrap();
            let shape = [1, cut.height(), cut.width(), 3];
            let expected: Vec<usize> = serde_json::from_value(case["shape"].clone()).unwrap();
            assert_eq!(shape[1..], expected, "{name}");
            let pixels = ndarray::Array4::from_shape_vec(shape, cut.pixels().to_vec()).unwrap();
            let options = application.options.clone();
            let preprocessing = application.architecture().preprocessing(&options);
            let found = preprocessing.apply(&pixels).unwrap().into_tensor();
            let values = found.as_slice();
            let mean = values.iter().map(|it| f64::from(*it)).sum::<f64>() / values.len() as f64;
            let theirs = case["mean"].as_f64().unwrap();
            assert!(
                (mean - theirs).abs() < 1e-3,
                "{name}, {which}: {mean} {theirs}"
            );
            let levels = 2.0 / (255.0 * 0.224) + 1e-4;
            let theirs = case["values"].as_array().unwrap();
            assert_eq!(theirs.len(), values.len().div_ceil(step));
            for (ours, theirs) in values.iter().step_by(step).zip(theirs) {
                let difference = (f64::from(*ours) - theirs.as_f64().unwrap()).abs();
                assert!(difference < levels, "{name}, {which}: {ours} {theirs}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::applications::{Preprocessing, torchvision};
    use crate::layers::{Dense, Input, LayerExt, layers};
    use crate::{Model, Sequential};

    #[test]
    fn what_a_network_expects_is_known_of_its_tensors() {
        for (application, expected) in [
            (
                torchvision::shufflenet_v2_x0_5(),
                Some(Preprocessing::Torch),
            ),
            (torchvision::squeezenet1_1(), Some(Preprocessing::Torch)),
            (torchvision::resnet18(), Some(Preprocessing::Torch)),
        ] {
            let name = application.architecture().name;
            let application = application.input_shape([64, 64, 3]);
            let whole = application.clone().classes(5).build().unwrap().model;
            assert_eq!(whole.preprocessing(), expected, "{name}");
            let body = application
                .include_top(false)
                .pooling("avg")
                .build()
                .unwrap()
                .model;
            assert_eq!(body.preprocessing(), expected, "{name}");
            // With another head, and within another model, and from a file.
            let other = body
                .with_head(layers![Dense::new(2).named("birds")])
                .unwrap();
            assert_eq!(other.preprocessing(), expected, "{name}");
            let nested = layers![
                Input::new([64, 64, 3]),
                body.named("base"),
                Dense::new(2).named("birds")
            ];
            let nested = Sequential::new(nested).unwrap();
            assert_eq!(nested.preprocessing(), expected, "{name}");
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("nested.keras");
            nested.save(&path).unwrap();
            let (opened, _report) = Model::open(&path).unwrap();
            assert_eq!(opened.preprocessing(), expected, "{name}");
        }
        // Of a classifier of several layers all but the last must be there.
        let small = torchvision::mobilenet_v3_small().input_shape([64, 64, 3]);
        let small = small.build().unwrap().model.reset_classifier(7).unwrap();
        assert_eq!(small.preprocessing(), Some(Preprocessing::Torch));
        let stack = layers![Input::new([8, 8, 3]), crate::layers::Conv2D::new(4, 3)];
        assert_eq!(Sequential::new(stack).unwrap().preprocessing(), None);
    }
}

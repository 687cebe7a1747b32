//! The names of ImageNet's classes.

use regraft_tensor::{Detail, Tensor};

use crate::{Error, Result};

/// `wnid name`, one class per line in the order of the outputs; `fixtures/README.md` says from where.
static CLASSES: &str = include_str!("imagenet_classes.txt");

/// The number of ImageNet's classes.
pub(crate) const COUNT: usize = 1000;

/// A class that a network finds in an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The class in WordNet: `n02124075`.
    pub wnid: &'static str,
    /// Its name: `Egyptian_cat`.
    pub name: &'static str,
    /// What the network gives it.
    pub probability: f32,
}

/// ImageNet's classes in the order of the outputs, each with its WordNet id and its name.
pub fn imagenet_classes() -> impl Iterator<Item = (&'static str, &'static str)> {
    CLASSES.lines().filter_map(|line| line.split_once(' '))
}

/// The `top` most probable classes of each image, the most probable first; equal ones in the order of
/// the classes.
///
/// ```
/// use regraft::applications::decode_predictions;
/// use regraft::Tensor;
///
/// let mut probabilities = vec![0.0; 1000];
/// probabilities[285] = 0.9;
/// let predictions = Tensor::new([1, 1000], probabilities)?;
/// let best = decode_predictions(&predictions, 5)?[0][0];
/// assert_eq!((best.wnid, best.name), ("n02124075", "Egyptian_cat"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Data`] unless `predictions` are `(samples, 1000)`.
///
/// Keras: <https://keras.io/api/applications/>.
pub fn decode_predictions(predictions: &Tensor, top: usize) -> Result<Vec<Vec<Prediction>>> {
    let [_, COUNT] = predictions.shape() else {
        let received = format!("shape {:?}", predictions.shape());
        let detail = Detail::new("predictions", "shape (samples, 1000)", received);
        return Err(Error::Data(detail.help(
            "only networks with ImageNet's own classes give these; other heads have class names of \
             their own",
        )));
    };
    let classes: Vec<(&str, &str)> = imagenet_classes().collect();
    let decode = |row: &[f32]| {
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        let prediction = |&class: &usize| {
            let (wnid, name) = classes.get(class).copied().unwrap_or_default();
            let probability = row[class];
            Prediction {
                wnid,
                name,
                probability,
            }
        };
        order.iter().take(top).map(prediction).collect()
    };
    Ok(predictions.as_slice().chunks(COUNT).map(decode).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_an_id_and_a_name() {
        let classes: Vec<_> = imagenet_classes().collect();
        assert_eq!(classes.len(), COUNT);
        assert_eq!(classes[0], ("n01440764", "tench"));
        assert_eq!(classes[999], ("n15075141", "toilet_tissue"));
        for (wnid, name) in &classes {
            assert!(
                wnid.len() == 9 && wnid.starts_with('n') && !name.is_empty(),
                "{wnid}"
            );
        }
        assert!(
            classes.is_sorted_by(|a, b| a.0 < b.0),
            "ImageNet's order is that of the ids"
        );
    }

    #[test]
    fn the_most_probable_come_first() {
        let mut rows = vec![0.0; 2 * COUNT];
        (rows[3], rows[7], rows[COUNT + 999]) = (0.25, 0.5, 1.0);
        let predictions = Tensor::new([2, COUNT], rows).unwrap();
        let decoded = decode_predictions(&predictions, 3).unwrap();
        let probabilities: Vec<f32> = decoded[0].iter().map(|best| best.probability).collect();
        assert_eq!(probabilities, [0.5, 0.25, 0.0]);
        assert_eq!(
            (decoded[0][0].name, decoded[1][0].name),
            ("cock", "toilet_tissue")
        );
    }

    #[test]
    fn other_heads_are_refused() {
        let predictions = Tensor::new([1, 2], vec![0.0, 1.0]).unwrap();
        assert!(decode_predictions(&predictions, 5).is_err());
    }
}

//! Features that are factorised once, for several heads, groupings and runs.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use regraft_tensor::Detail;

use crate::factor::Factor;
use crate::features::Features;
use crate::samples::{ClassWeight, Samples, Told};
use crate::{Error, Result};

/// Features that are factorised, which is most of the work of [`Ridge`](crate::Ridge) and [`Lda`](crate::Lda): any
/// number of heads and groupings of the same features, labels and class weights are solved from it, to the same bits as
/// without it. It may be written down for another run.
///
/// ```
/// use regraft_heads::{ClassWeight, Factorised, Lda, Ridge};
/// use regraft_tensor::Tensor;
///
/// let features = Tensor::new([6, 2], vec![0.0, 0.1, 0.2, 0.0, 0.1, 0.3, 1.0, 1.1, 0.9, 1.2, 1.1, 0.8])?;
/// let labels = [0, 0, 0, 1, 1, 1];
/// let factorised = Factorised::new(&features, &labels, ClassWeight::Equal)?;
/// let ridge = Ridge::new().factorised(&factorised).fit(&features, &labels)?;
/// let groups = vec![0, 0, 1, 2, 2, 3];
/// let lda = Lda::new().factorised(&factorised).groups(groups).fit(&features, &labels)?;
/// assert_eq!(ridge.kernel(), Ridge::new().fit(&features, &labels)?.kernel());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Factorised(Arc<Factor>);

impl Factorised {
    /// Factorises `features`, (samples, features), with a class label of each sample.
    ///
    /// # Errors
    /// As [`Ridge::fit`](crate::Ridge::fit).
    pub fn new(features: &dyn Features, labels: &[i32], class_weight: ClassWeight) -> Result<Self> {
        let samples = samples(features, labels, class_weight)?;
        Ok(Factorised(Arc::new(Factor::new(features, samples)?)))
    }

    /// The same in every bit, for more samples than fit into memory: what is made of them, 8 bytes for each feature of
    /// each, lies in `file`, which is empty, can be read and written, and belongs to nobody else. In memory are some 16 MB
    /// of it at a time and two matrices of features × features. ([`Logistic`](crate::Logistic) has all of it in memory.)
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`Error::File`] if the file cannot be written.
    pub fn in_file(
        features: &dyn Features,
        labels: &[i32],
        class_weight: ClassWeight,
        file: File,
    ) -> Result<Self> {
        let samples = samples(features, labels, class_weight)?;
        Ok(Factorised(Arc::new(Factor::in_file(
            features, samples, file,
        )?)))
    }

    /// Writes it down, as numbers without a header: some 8 bytes for each feature of each sample.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        self.0.write(to)
    }

    /// What [`write`](Self::write) has written of the same features, labels and weights. That they are the same, and
    /// the bytes those that were written, is for the caller to know: keep them under a hash, with a checksum.
    /// `None` if the bytes end before all was read, or cannot be read.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn read(
        features: &dyn Features,
        labels: &[i32],
        class_weight: ClassWeight,
        from: &mut dyn Read,
    ) -> Result<Option<Self>> {
        let samples = samples(features, labels, class_weight)?;
        let factor = Factor::read(samples, from);
        Ok(factor.ok().map(|factor| Factorised(Arc::new(factor))))
    }

    /// The factorisation with the groups of `samples`, if it is of these.
    pub(crate) fn of(&self, samples: Samples) -> Result<Arc<Factor>> {
        if !self.0.samples.is_same_but_for_groups(&samples) {
            let expected = "the features, labels, classes and class weights that were factorised";
            let detail = Detail::new("factorised", expected, "others");
            return Err(Error::Setting(
                detail.help("factorise these, or leave the setting away"),
            ));
        }
        Ok(Arc::new(self.0.regrouped(samples)))
    }
}

fn samples(features: &dyn Features, labels: &[i32], class_weight: ClassWeight) -> Result<Samples> {
    let told = Told {
        class_weight,
        ..Told::default()
    };
    Samples::new(features, labels, &told)
}

impl PartialEq for Factorised {
    /// Whether they are one.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl std::fmt::Debug for Factorised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Factorised")
            .field("samples", &self.0.samples.len())
            .field("features", &self.0.samples.width)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use regraft_tensor::Tensor;

    use super::*;
    use crate::tests::problem;
    use crate::{BestHead, Lda, Logistic, Ridge, Solved};

    fn bits(solved: &Solved) -> Vec<u64> {
        let weights = [solved.kernel(), solved.bias()].map(|of| of.as_slice().to_vec());
        let weights = weights.concat().into_iter().map(f64::from);
        let left_out = solved.left_out().probabilities();
        weights
            .chain(left_out.iter().copied())
            .map(f64::to_bits)
            .collect()
    }

    #[test]
    fn heads_of_what_was_factorised_before_are_the_same_in_every_bit() {
        // More samples than features, and fewer.
        for (n, width, balanced) in [
            (150, 20, false),
            (150, 20, true),
            (30, 45, true),
            (701, 9, true),
        ] {
            let problem = problem(n, width, 3, 2, balanced, 5);
            let (features, labels, weight) = (&problem.features, &problem.labels, problem.weight);
            let new = Factorised::new(features, labels, weight).unwrap();
            let mut bytes = Vec::new();
            new.write(&mut bytes).unwrap();
            let read = |bytes: &[u8]| {
                let mut from = bytes;
                let read = Factorised::read(features, labels, weight, &mut from);
                let read = read.unwrap();
                assert!(read.is_none() || from.is_empty());
                read
            };
            // The rows in a file, too.
            let file = tempfile::tempfile().unwrap();
            let in_file = Factorised::in_file(features, labels, weight, file).unwrap();
            let mut same = Vec::new();
            in_file.write(&mut same).unwrap();
            assert!(same == bytes, "{n} {width}");
            assert_eq!(read(&bytes[..bytes.len() - 1]), None);
            assert_eq!(read(&[]), None);
            let kept = read(&bytes).unwrap();
            let groups: Vec<usize> = (0..n).map(|i| i / 2).collect();
            for groups in [None, Some(groups), Some(problem.groups.clone())] {
                macro_rules! check {
                    ($head:expr) => {{
                        let mut head = $head;
                        head = head.class_weight(weight);
                        if let Some(groups) = &groups {
                            head = head.groups(groups.clone());
                        }
                        let expected = bits(&head.clone().fit(features, labels).unwrap());
                        for factorised in [&new, &kept, &in_file] {
                            let head = head.clone().factorised(factorised);
                            let found = head.fit(features, labels).unwrap();
                            assert!(bits(&found) == expected, "{n} {width} {head:?}");
                        }
                    }};
                }
                check!(Ridge::new());
                check!(Lda::new());
                check!(Logistic::new());
                check!(BestHead::new());
            }
            let unknown = |ridge: Ridge| {
                let solved = ridge.class_weight(weight).fit(features, labels).unwrap();
                solved.unknown().unwrap()
            };
            assert_eq!(
                unknown(Ridge::new().factorised(&kept)),
                unknown(Ridge::new())
            );
        }
    }

    #[test]
    fn what_is_not_what_was_factorised_is_an_error() {
        let problem = problem(40, 6, 3, 2, false, 1);
        let (features, labels) = (&problem.features, &problem.labels);
        let factorised = Factorised::new(features, labels, ClassWeight::Equal).unwrap();
        let ridge = Ridge::new().factorised(&factorised);
        let refused = |head: &Ridge, features: &Tensor, labels: &[i32]| {
            matches!(head.fit(features, labels), Err(Error::Setting(_)))
        };
        assert!(!refused(&ridge, features, labels));
        let mut other = features.clone();
        other.as_mut_slice()[17] += 1e-6;
        assert!(refused(&ridge, &other, labels));
        // One of each class: in the same order, whatever they are.
        let two = |x: f32| Tensor::new([2, 1], vec![x, 3.0]).unwrap();
        let factorised = Factorised::new(&two(1.0), &[0, 1], ClassWeight::Equal).unwrap();
        let of_two = Ridge::new().factorised(&factorised);
        assert!(!refused(&of_two, &two(1.0), &[0, 1]));
        assert!(refused(&of_two, &two(2.0), &[0, 1]));
        let mut moved = labels.clone();
        moved.swap(0, 1);
        assert_ne!(moved, *labels);
        assert!(refused(&ridge, features, &moved));
        let balanced = ridge.class_weight(ClassWeight::Balanced(1.0));
        assert!(refused(&balanced, features, labels));
    }
}

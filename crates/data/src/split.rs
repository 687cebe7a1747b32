//! Dividing samples into a training and a validation part, and picking a few labels per class.
//!
//! All of it is drawn from a seed: the same seed gives the same samples, on any machine and with any
//! number of threads. Indices come back ascending, so that reading through the data stays
//! sequential; shuffling is the training loop's business.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use regraft_tensor::Detail;
use regraft_tensor::kernels::random::{Key, permutation};

use crate::{Content, Error, Hasher, Result};

/// Which samples to train on and which to validate on: ascending indices, together every sample
/// once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The samples to train on.
    pub train: Vec<usize>,
    /// The samples to validate on.
    pub validation: Vec<usize>,
}

/// Streams of a seed, so that a split and a pick with the same seed are independent.
const SPLIT: u64 = 1;
const PICK: u64 = 2;

/// Splits at random so that every class has the same share, `validation` (between 0 and 1), in the
/// validation part.
///
/// Of a class with `c` samples, `c · validation` are validated on, rounded down or up so that the
/// parts have the right total sizes; one sample at least remains to train on. This is the split to
/// use by default: with few labels, a plain one can leave a class out.
///
/// ```
/// use regraft_data::stratified_split;
///
/// let labels = [0, 0, 0, 0, 1, 1, 1, 1];
/// let split = stratified_split(&labels, 0.25, 42)?;
/// assert_eq!(split.train.len(), 6);
/// let validated: Vec<i32> = split.validation.iter().map(|&sample| labels[sample]).collect();
/// assert_eq!(validated, [0, 1]);
/// # Ok::<(), regraft_data::Error>(())
/// ```
///
/// # Errors
/// [`Error::Split`] if `validation` is not between 0 and 1 or either part would be empty.
pub fn stratified_split(labels: &[i32], validation: f64, seed: u64) -> Result<Split> {
    check_share(validation)?;
    let order = shuffled(labels.len(), seed, SPLIT)?;
    let mut quotas = quotas(labels, validation);
    let mut split = Split {
        train: Vec::new(),
        validation: Vec::new(),
    };
    for sample in order {
        let quota = quotas
            .get_mut(&labels[sample])
            .expect("every class has a quota");
        if *quota > 0 {
            *quota -= 1;
            split.validation.push(sample);
        } else {
            split.train.push(sample);
        }
    }
    split.finish(validation)
}

/// Splits at random, `samples · validation` of the samples (rounded) into the validation part,
/// whatever their class.
///
/// # Errors
/// [`Error::Split`] if `validation` is not between 0 and 1 or either part would be empty.
pub fn random_split(samples: usize, validation: f64, seed: u64) -> Result<Split> {
    check_share(validation)?;
    let mut train = shuffled(samples, seed, SPLIT)?;
    let kept = samples - (samples as f64 * validation).round() as usize;
    let validated = train.split_off(kept);
    Split {
        train,
        validation: validated,
    }
    .finish(validation)
}

/// Takes the last samples for validation, as Keras' `validation_split` does: the first
/// `⌊samples · (1 − validation)⌋` are trained on. Of data sorted by class that leaves out the last
/// classes.
///
/// # Errors
/// [`Error::Split`] if `validation` is not between 0 and 1 or either part would be empty.
pub fn last_split(samples: usize, validation: f64) -> Result<Split> {
    check_share(validation)?;
    let kept = (samples as f64 * (1.0 - validation)).floor() as usize;
    let split = Split {
        train: (0..kept).collect(),
        validation: (kept..samples).collect(),
    };
    split.finish(validation)
}

/// Splits by group: samples of one group (duplicates, shots of one object) are all trained on or all
/// validated on. `contents` are hashes of the samples ([`Dataset::content`](crate::Dataset::content), or of
/// the files alone, so that a split outlives another size of the pictures), `groups` the number of each one's
/// group.
///
/// A group goes where a hash of the seed and its smallest content says, with a chance of `validation`, and
/// nothing else: not the order, not the numbers of the groups, not other groups. A sample that is added moves
/// none across, unless it joins two groups to one or its content is smaller than all in the group that it
/// joins: then that group goes where the smallest content of all says. Likewise when one is removed. The
/// share is met on average only, and a class with few groups may lie on one side: [`missing_classes`] tells.
///
/// ```
/// use regraft_data::{Hasher, split_by_group};
///
/// let contents: Vec<_> = (0..100).map(|i| Hasher::new("i").number(i).finish()).collect();
/// let groups: Vec<usize> = (0..100).map(|i| i / 2).collect();
/// let split = split_by_group(&contents, &groups, 0.2, 42)?;
/// let is_whole = |sample: &usize| split.validation.contains(&(sample ^ 1));
/// assert!(split.validation.iter().all(is_whole));
/// # Ok::<(), regraft_data::Error>(())
/// ```
///
/// # Errors
/// [`Error::Split`] if `validation` is not between 0 and 1, there are not as many groups as contents, or
/// either part would be empty.
pub fn split_by_group(
    contents: &[Content],
    groups: &[usize],
    validation: f64,
    seed: u64,
) -> Result<Split> {
    check_share(validation)?;
    if contents.len() != groups.len() {
        let expected = format!("{}, one of each content", contents.len());
        return Err(Error::Split(Detail::new("groups", expected, groups.len())));
    }
    let mut smallest: HashMap<usize, &Content> = HashMap::new();
    for (group, content) in groups.iter().zip(contents) {
        let known = smallest.entry(*group).or_insert(content);
        *known = content.min(known);
    }
    let is_validated = |group: &usize| {
        let hasher = Hasher::new("split by group").number(seed);
        let hash = hasher.bytes(smallest[group]).finish();
        let (first, _) = hash.split_first_chunk().expect("a hash has 32 bytes");
        // 53 bits are a number between 0 and 1 exactly.
        let place = (u64::from_le_bytes(*first) >> 11) as f64 / (1_u64 << 53) as f64;
        place < validation
    };
    let (mut train, mut validated) = (Vec::new(), Vec::new());
    for (sample, group) in groups.iter().enumerate() {
        match is_validated(group) {
            true => validated.push(sample),
            false => train.push(sample),
        }
    }
    Split {
        train,
        validation: validated,
    }
    .finish(validation)
}

/// The classes of `labels`, one for each sample, that none of the samples in `part` has: classes that nothing
/// is learnt of if it is the part to train on, and nothing is said of if it is the one to validate on.
///
/// ```
/// use regraft_data::{last_split, missing_classes};
///
/// let labels = [0, 0, 0, 1, 1, 2];
/// let split = last_split(labels.len(), 0.5)?;
/// assert_eq!(missing_classes(&labels, &split.train), [1, 2]);
/// assert_eq!(missing_classes(&labels, &split.validation), [0]);
/// # Ok::<(), regraft_data::Error>(())
/// ```
pub fn missing_classes(labels: &[i32], part: &[usize]) -> Vec<i32> {
    let mut missing: BTreeSet<i32> = labels.iter().copied().collect();
    for class in part.iter().filter_map(|&sample| labels.get(sample)) {
        missing.remove(class);
    }
    missing.into_iter().collect()
}

/// Picks `count` samples of every class at random: the few labels of a transfer experiment.
///
/// With the same seed, a larger count picks the samples of a smaller one and some more.
///
/// # Errors
/// [`Error::Split`] if there are no samples, or a class has fewer than `count`, naming it.
pub fn pick_per_class(labels: &[i32], count: usize, seed: u64) -> Result<Vec<usize>> {
    let mut picked = BTreeMap::new();
    let mut samples = Vec::new();
    for sample in shuffled(labels.len(), seed, PICK)? {
        let class = picked.entry(labels[sample]).or_insert(0);
        if *class < count {
            *class += 1;
            samples.push(sample);
        }
    }
    let short = picked.iter().find(|&(_, &found)| found < count);
    if let Some((class, found)) = short {
        return Err(Error::Split(
            Detail::new(
                format!("class {class}"),
                format!("at least {count} samples"),
                found,
            )
            .help("pick fewer per class, or leave this class out first"),
        ));
    }
    if samples.is_empty() {
        return Err(nothing_in("pick", labels.len()));
    }
    samples.sort_unstable();
    Ok(samples)
}

impl Split {
    /// Sorts both parts and checks that neither is empty.
    fn finish(mut self, validation: f64) -> Result<Self> {
        let samples = self.train.len() + self.validation.len();
        for (part, name) in [
            (&mut self.train, "training"),
            (&mut self.validation, "validation"),
        ] {
            if part.is_empty() {
                return Err(nothing_in(&format!("{name} part of {validation}"), samples));
            }
            part.sort_unstable();
        }
        Ok(self)
    }
}

fn nothing_in(part: &str, samples: usize) -> Error {
    Error::Split(
        Detail::new(part, "at least one sample", format!("none of {samples}"))
            .help("choose another share, or give validation data of their own"),
    )
}

fn check_share(validation: f64) -> Result<()> {
    if validation > 0.0 && validation < 1.0 {
        return Ok(());
    }
    Err(Error::Split(Detail::new(
        "validation share",
        "a number between 0 and 1, both excluded",
        validation,
    )))
}

/// How many samples of each class to validate on: the rounded-down share of each, and one more for
/// the classes that rounding took most from, until the total is right.
fn quotas(labels: &[i32], validation: f64) -> BTreeMap<i32, usize> {
    let mut counts = BTreeMap::new();
    for &label in labels {
        *counts.entry(label).or_insert(0_usize) += 1;
    }
    let share = |count: usize| count as f64 * validation;
    let mut missing = share(labels.len()).round() as usize;
    let mut quotas = BTreeMap::new();
    for (&class, &count) in &counts {
        let quota = share(count).floor() as usize;
        missing = missing.saturating_sub(quota);
        quotas.insert(class, quota);
    }
    let mut by_loss: Vec<(i32, usize)> = counts.into_iter().collect();
    // A stable sort: of equal losses the smaller class number goes first.
    by_loss.sort_by(|(_, a), (_, b)| share(*b).fract().total_cmp(&share(*a).fract()));
    for (class, count) in by_loss {
        let quota = quotas.get_mut(&class).expect("every class has a quota");
        let rounded_up = share(count).ceil() as usize;
        if missing > 0 && *quota < rounded_up && *quota + 1 < count {
            *quota += 1;
            missing -= 1;
        }
    }
    quotas
}

fn shuffled(samples: usize, seed: u64, stream: u64) -> Result<Vec<usize>> {
    let Ok(count) = u32::try_from(samples) else {
        return Err(Error::Split(Detail::new(
            "samples",
            format!("at most {}", u32::MAX),
            samples,
        )));
    };
    let order = permutation(Key::new(seed, stream), count);
    Ok(order.into_iter().map(|sample| sample as usize).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(labels: &[i32], samples: &[usize]) -> BTreeMap<i32, usize> {
        let mut counts = BTreeMap::new();
        for &sample in samples {
            *counts.entry(labels[sample]).or_insert(0) += 1;
        }
        counts
    }

    fn assert_partition(split: &Split, samples: usize) {
        let mut all = [split.train.clone(), split.validation.clone()].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..samples));
        assert!(split.train.is_sorted() && split.validation.is_sorted());
    }

    #[test]
    fn the_last_split_is_the_one_of_keras() {
        // Keras: split_at = floor(10 · (1 − 0.25)) = 7.
        let split = last_split(10, 0.25).unwrap();
        assert_eq!(split.train, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(split.validation, [7, 8, 9]);
    }

    #[test]
    fn shares_and_sizes_that_make_no_sense_are_errors() {
        for share in [0.0, 1.0, -0.1, 1.5, f64::NAN, f64::INFINITY] {
            assert!(random_split(10, share, 0).is_err());
            assert!(last_split(10, share).is_err());
            assert!(stratified_split(&[0; 10], share, 0).is_err());
        }
        assert!(random_split(0, 0.5, 0).is_err());
        assert!(last_split(1, 0.5).is_err());
        assert!(stratified_split(&[], 0.5, 0).is_err());
        let text = stratified_split(&[0, 1, 2], 0.2, 0)
            .unwrap_err()
            .to_string();
        assert!(text.contains("validation part of 0.2"), "{text}");
    }

    #[test]
    fn only_groups_that_are_joined_or_get_a_smaller_content_move() {
        let mut moved = [0; 3];
        for seed in 0..200 {
            let side = |contents: &[u8], groups: &[usize]| {
                let contents: Vec<Content> = contents.iter().map(|&first| [first; 32]).collect();
                let split = split_by_group(&contents, groups, 0.5, seed).ok()?;
                Some(
                    (0..contents.len())
                        .map(|it| split.validation.contains(&it))
                        .collect::<Vec<_>>(),
                )
            };
            let larger = side(&[10, 11, 20, 30], &[0, 0, 1, 2]);
            let cases = [
                (side(&[10, 11, 20, 30, 12], &[5, 5, 1, 2, 5]), 3),
                (side(&[10, 11, 20, 30, 9], &[0, 0, 1, 2, 0]), 3),
                (side(&[10, 11, 20, 30], &[0, 0, 0, 2]), 3),
            ];
            let Some(before) = larger else { continue };
            for (case, (after, bystander)) in cases.into_iter().enumerate() {
                let Some(after) = after else { continue };
                assert_eq!(before[bystander], after[bystander]);
                moved[case] += usize::from(before != after[..4]);
            }
        }
        assert_eq!(moved[0], 0);
        assert!(moved[1] > 0 && moved[2] > 0, "{moved:?}");
    }

    #[test]
    fn seeds_differ_and_repeat() {
        let split = |seed| random_split(1000, 0.5, seed).unwrap();
        assert_eq!(split(1), split(1));
        assert_ne!(split(1), split(2));
        assert_ne!(split(1).train, (0..500).collect::<Vec<_>>());
    }

    #[test]
    fn a_class_with_too_few_samples_is_named() {
        let text = pick_per_class(&[0, 0, 7, 0], 2, 0).unwrap_err().to_string();
        assert!(
            text.contains("class 7: expected at least 2 samples, received 1"),
            "{text}"
        );
        assert!(pick_per_class(&[], 2, 0).is_err());
        assert!(pick_per_class(&[0, 1], 0, 0).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_stratified_split_is_a_partition_with_equal_shares(
            labels in prop::collection::vec(-1_i32..6, 1..200),
            validation in 0.01_f64..0.99,
            seed in any::<u64>(),
        ) {
            let Ok(split) = stratified_split(&labels, validation, seed) else {
                // Refused only where a part would be empty: a class must be very small for that.
                prop_assert!(quotas(&labels, validation).values().all(|&quota| quota == 0));
                return Ok(());
            };
            assert_partition(&split, labels.len());
            let (all, validated) =
                (Labels(&labels).counts(), counts(&labels, &split.validation));
            let mut held_back = 0;
            for (class, count) in all {
                let found = validated.get(&class).copied().unwrap_or(0);
                let share = count as f64 * validation;
                prop_assert!((found as f64 - share).abs() < 1.0, "{found} of {count}");
                prop_assert!(found < count, "class {class} has no training sample");
                held_back += usize::from(share.ceil() as usize == count);
            }
            // The total is right, but for classes so small that their last sample is held back.
            let wanted = (labels.len() as f64 * validation).round() as usize;
            let got = split.validation.len();
            prop_assert!(got <= wanted && wanted - got <= held_back, "{got} of {wanted}");
            prop_assert_eq!(stratified_split(&labels, validation, seed).unwrap(), split);
        }

        #[test]
        fn a_random_split_is_a_partition_of_the_right_sizes(
            samples in 2_usize..300,
            validation in 0.01_f64..0.99,
            seed in any::<u64>(),
        ) {
            let wanted = (samples as f64 * validation).round() as usize;
            match random_split(samples, validation, seed) {
                Ok(split) => {
                    assert_partition(&split, samples);
                    prop_assert_eq!(split.validation.len(), wanted);
                }
                Err(_) => prop_assert!(wanted == 0 || wanted == samples),
            }
        }

        #[test]
        fn picks_are_of_equal_number_and_grow(
            labels in prop::collection::vec(0_i32..4, 40..200),
            count in 1_usize..6,
            seed in any::<u64>(),
        ) {
            let fewest = Labels(&labels).counts().into_values().min().unwrap_or(0);
            prop_assume!(fewest > count);
            let few = pick_per_class(&labels, count, seed).unwrap();
            let more = pick_per_class(&labels, count + 1, seed).unwrap();
            prop_assert!(counts(&labels, &few).values().all(|&found| found == count));
            prop_assert!(few.iter().all(|sample| more.contains(sample)));
        }
    }

    /// All samples of a slice of labels, counted.
    struct Labels<'a>(&'a [i32]);

    impl Labels<'_> {
        fn counts(&self) -> BTreeMap<i32, usize> {
            counts(self.0, &(0..self.0.len()).collect::<Vec<_>>())
        }
    }
}

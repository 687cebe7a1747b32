//! Samples whose features, labels and groups have been checked, in an order that depends on their contents alone.

use std::collections::HashMap;

use regraft_tensor::Detail;

use crate::features::{Features, of_each};
use crate::{Error, Result};

/// How much a sample of a class counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ClassWeight {
    /// Each sample counts the same.
    #[default]
    Equal,
    /// n / (K · nₖ)ᵖ of the n samples for each of the nₖ of a class, scaled so that all count n together: with p = 1
    /// all classes count the same, with p = ½ they are halfway there.
    Balanced(f64),
}

/// What is told about samples beside features and labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub groups: Option<Vec<usize>>,
    pub class_weight: ClassWeight,
    pub classes: Option<usize>,
}

/// Checked samples. What is said of a sample by its position is in an order of their own: by class, then by a hash of
/// the features. So no sum and no division into blocks depends on the order in which samples came.
#[derive(Clone)]
pub(crate) struct Samples {
    /// Position → the caller's number.
    pub order: Vec<usize>,
    /// By position.
    pub labels: Vec<usize>,
    /// Of the features, by position.
    hashes: Vec<u64>,
    /// By position, numbered as they appear.
    pub groups: Vec<usize>,
    /// The members of each group.
    pub members: Vec<Vec<usize>>,
    /// By class.
    pub class_weights: Vec<f64>,
    /// Samples of each class.
    pub counts: Vec<usize>,
    /// Groups that each class is in.
    pub class_groups: Vec<usize>,
    /// Features of a sample.
    pub width: usize,
}

impl Samples {
    pub fn new(features: &dyn Features, labels: &[i32], told: &Told) -> Result<Self> {
        let (samples, width) = check_shape(features)?;
        let hashes = hashes(features, samples, width)?;
        let counts = check_labels(labels, samples, told.classes)?;
        let groups = match &told.groups {
            None => None,
            Some(groups) if groups.len() == samples => Some(groups),
            Some(groups) => {
                let what = format!("{samples}, one of each sample");
                return Err(Error::Groups(Detail::new("groups", what, groups.len())));
            }
        };
        let class_weights = class_weights(&counts, samples, told.class_weight)?;

        let mut order: Vec<usize> = (0..samples).collect();
        order.sort_by_key(|&i| (labels[i], hashes[i]));
        let hashes = order.iter().map(|&i| hashes[i]).collect();
        let labels: Vec<usize> = order.iter().map(|&i| labels[i] as usize).collect();

        let mut numbers = HashMap::new();
        let mut members: Vec<Vec<usize>> = Vec::new();
        let groups: Vec<usize> = (0..samples)
            .map(|position| {
                let group = groups.map_or(order[position], |groups| groups[order[position]]);
                let number = *numbers.entry(group).or_insert(members.len());
                if number == members.len() {
                    members.push(Vec::new());
                }
                members[number].push(position);
                number
            })
            .collect();
        if members.len() == 1 {
            return Err(Error::Groups(
                Detail::new("groups", "two groups or more", "all samples in one")
                    .help("an estimate leaves a group out, and then nothing is left; leave groups away if you have none"),
            ));
        }
        let mut class_groups = vec![0; counts.len()];
        for members in &members {
            for class in classes_of(members, &labels) {
                class_groups[class] += 1;
            }
        }
        Ok(Samples {
            order,
            labels,
            hashes,
            groups,
            members,
            class_weights,
            counts,
            class_groups,
            width,
        })
    }

    /// Whether features, labels, classes and weights are the same.
    pub fn is_same_but_for_groups(&self, other: &Samples) -> bool {
        self.width == other.width
            && self.order == other.order
            && self.labels == other.labels
            && self.hashes == other.hashes
            && self.counts == other.counts
            && self.class_weights == other.class_weights
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn classes(&self) -> usize {
        self.counts.len()
    }

    /// The weight of a sample.
    pub fn weight(&self, position: usize) -> f64 {
        self.class_weights[self.labels[position]]
    }

    /// Σ w
    pub fn total(&self) -> f64 {
        let classes = self.class_weights.iter().zip(&self.counts);
        classes.map(|(weight, &count)| weight * count as f64).sum()
    }

    /// The target of a sample: 1 for its class, 0 for others.
    pub fn target(&self, position: usize, class: usize) -> f64 {
        if self.labels[position] == class {
            1.0
        } else {
            0.0
        }
    }

    /// The classes of a group's members, ascending.
    pub fn classes_of(&self, members: &[usize]) -> Vec<usize> {
        classes_of(members, &self.labels)
    }

    /// Whether something of the sample's class remains when its group is left out.
    pub fn known(&self, position: usize) -> bool {
        self.class_groups[self.labels[position]] > 1
    }

    /// Numbers by position to numbers by the caller's order, `columns` of each sample.
    pub fn as_given<T: Copy + Default>(&self, values: &[T], columns: usize) -> Vec<T> {
        let mut given = vec![T::default(); values.len()];
        for (position, &i) in self.order.iter().enumerate() {
            given[i * columns..][..columns]
                .copy_from_slice(&values[position * columns..][..columns]);
        }
        given
    }
}

fn classes_of(members: &[usize], labels: &[usize]) -> Vec<usize> {
    let mut classes: Vec<usize> = members.iter().map(|&i| labels[i]).collect();
    classes.sort_unstable();
    classes.dedup();
    classes
}

fn check_shape(features: &dyn Features) -> Result<(usize, usize)> {
    let expected = "[samples, features], none of them 0";
    let shape = features.shape();
    let &[samples, width] = shape.as_slice() else {
        let received = format!("{shape:?}");
        return Err(Error::Features(
            Detail::new("features", format!("shape {expected}"), received)
                .help("pool or flatten what a network gives to one row of each sample"),
        ));
    };
    if samples == 0 || width == 0 {
        let received = format!("[{samples}, {width}]");
        return Err(Error::Features(Detail::new(
            "features",
            format!("shape {expected}"),
            received,
        )));
    }
    Ok((samples, width))
}

/// A hash of each row. An error if a number is none.
fn hashes(features: &dyn Features, samples: usize, width: usize) -> Result<Vec<u64>> {
    let hashes = of_each(features, samples, width, |row| {
        row.iter().all(|value| value.is_finite()).then(|| hash(row))
    })?;
    let mut row = vec![0.0; width];
    let hash = |(sample, found): (usize, Option<u64>)| match found {
        Some(hash) => Ok(hash),
        None => {
            features.read(sample, &mut row);
            let place = row.iter().position(|value| !value.is_finite());
            let place = place.unwrap_or_default();
            Err(no_number(sample, place, row[place]))
        }
    };
    hashes.into_iter().enumerate().map(hash).collect()
}

/// Names the first number that is none.
pub(crate) fn check_finite(values: &[f32], width: usize) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(place) => Err(no_number(place / width, place % width, values[place])),
    }
}

fn no_number(sample: usize, feature: usize, value: f32) -> Error {
    let place = format!("features, sample {sample}, feature {feature}");
    let detail = Detail::new(place, "a finite number", value);
    Error::Features(detail.help("look at what the network was given for this sample"))
}

/// The number of samples of each class.
fn check_labels(labels: &[i32], samples: usize, classes: Option<usize>) -> Result<Vec<usize>> {
    if labels.len() != samples {
        let expected = format!("{samples}, one of each sample");
        return Err(Error::Labels(Detail::new("labels", expected, labels.len())));
    }
    let largest = labels
        .iter()
        .max()
        .map_or(0, |&label| label.max(0) as usize);
    let classes = classes.unwrap_or(largest + 1);
    if classes > samples {
        let received = format!("{classes} classes and {samples} samples");
        return Err(Error::Labels(
            Detail::new("labels", "samples of every class", received)
                .help("number the classes 0, 1, 2 … without gaps"),
        ));
    }
    let mut counts = vec![0; classes];
    for (sample, &label) in labels.iter().enumerate() {
        match usize::try_from(label)
            .ok()
            .and_then(|label| counts.get_mut(label))
        {
            Some(count) => *count += 1,
            None => {
                let (at, expected) = (
                    format!("labels, sample {sample}"),
                    format!("0 to {}", classes as i64 - 1),
                );
                return Err(Error::Labels(Detail::new(at, expected, label)));
            }
        }
    }
    if counts.iter().filter(|&&count| count > 0).count() < 2 {
        return Err(Error::Labels(
            Detail::new(
                "labels",
                "samples of two classes or more",
                format!("{samples} samples of one"),
            )
            .help("a head tells classes apart; with one there is nothing to learn"),
        ));
    }
    if let Some(empty) = counts.iter().position(|&count| count == 0) {
        return Err(Error::Labels(
            Detail::new(format!("labels, class {empty}"), "a sample or more", "none")
                .help("leave the class out, and number the others without gaps"),
        ));
    }
    Ok(counts)
}

fn class_weights(counts: &[usize], samples: usize, weight: ClassWeight) -> Result<Vec<f64>> {
    let ClassWeight::Balanced(power) = weight else {
        return Ok(vec![1.0; counts.len()]);
    };
    if !(0.0..=1.0).contains(&power) {
        return Err(Error::Setting(
            Detail::new("ClassWeight::Balanced", "a power from 0 to 1", power).help(
                "1 makes all classes count the same, 0.5 is halfway, 0 is ClassWeight::Equal",
            ),
        ));
    }
    let share = |count: usize| samples as f64 / (counts.len() * count) as f64;
    let raw: Vec<f64> = counts
        .iter()
        .map(|&count| match power {
            1.0 => share(count),
            0.5 => share(count).sqrt(),
            _ => crate::numbers::exp(power * crate::numbers::ln(share(count))),
        })
        .collect();
    let sum: f64 = raw
        .iter()
        .zip(counts)
        .map(|(weight, &count)| weight * count as f64)
        .sum();
    Ok(raw
        .iter()
        .map(|weight| weight * samples as f64 / sum)
        .collect())
}

/// A hash of the bits, the same everywhere.
fn hash(row: &[f32]) -> u64 {
    let mut lanes = [0x9E37_79B9_7F4A_7C15_u64, 1, 2, 3];
    let (fours, rest) = row.as_chunks::<4>();
    let mix = |lane: u64, value: f32| {
        (lane.rotate_left(29) ^ u64::from(value.to_bits())).wrapping_mul(0xD6E8_FEB8_6659_FD93)
    };
    for four in fours {
        for i in 0..4 {
            lanes[i] = mix(lanes[i], four[i]);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = mix(*lane, value);
    }
    lanes.into_iter().fold(row.len() as u64, |hash, lane| {
        let mixed = (hash ^ lane).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        mixed ^ (mixed >> 32)
    })
}

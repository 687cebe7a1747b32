//! Something strange about a set of pictures, in words and as numbers.

use std::fmt;

/// Kinds of findings, with the threshold of each and whence it is: `CV` is CleanVision, `CL` is cleanlab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// Only one class has pictures.
    OneClass,
    /// The same pixels in files of several classes: some label is wrong.
    SamePixelsAcrossClasses,
    /// The same pixels in several files of a class.
    SamePixels,
    /// Nearly the same look in several classes: perceptual hashes that differ in at most 4 of 64 bits.
    NearDuplicatesAcrossClasses,
    /// Nearly the same look in a class.
    NearDuplicates,
    /// A part of the file cannot be read.
    Damaged,
    /// Nothing is on it: of the pixels' brightness, 98 % are within .02.
    Blank,
    /// The 99th percentile of brightness is below .32 (CV).
    Dark,
    /// The 5th percentile of brightness is above .95 (CV).
    Light,
    /// The [sharpness](crate::Inspection::sharpness) is below .29 (CV).
    Blurred,
    /// The [entropy](crate::Inspection::entropy) is below 3 bits (CV).
    LowInformation,
    /// √(width · height) lies more than 3 times the distance of the quartiles outside of them (CV).
    OddSize,
    /// The shorter side is less than .35 of the longer one (CV).
    OddShape,
    /// Grey pictures among coloured ones, or the other way: at most 5 % of all.
    OddColor,
    /// A class has fewer than 20 pictures (the threshold at which TensorFlow Hub's `retrain.py` warned).
    FewPictures,
    /// The share of the rarest class is below .1 divided by the number of classes (CL).
    Imbalance,
    /// A property that has nothing to do with what is shown tells a class: see [`findings`](crate::findings()).
    GivesAway,
}

/// Something strange.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What kind it is.
    pub kind: FindingKind,
    /// The pictures that it is about, ascending: numbers of inspections.
    pub pictures: Vec<usize>,
    /// Of duplicates: which of them are the same.
    pub sets: Vec<Vec<usize>>,
    /// The classes that it is about, ascending, if it is about classes.
    pub classes: Vec<usize>,
    /// It in words, without the names of the pictures.
    pub sentence: String,
}

impl Finding {
    /// The pictures as they are shown together: duplicates with each other, others alone.
    pub fn together(&self) -> Vec<Vec<usize>> {
        match self.sets.is_empty() {
            true => self.pictures.iter().map(|picture| vec![*picture]).collect(),
            false => self.sets.clone(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// At most eight of a list, and how many more there are.
pub(crate) fn listed(names: &[String]) -> String {
    match names.len() {
        0..=8 => names.join(", "),
        more => format!("{} and {} more", names[..7].join(", "), more - 7),
    }
}

//! Pictures ready to learn from: classes that have some, labels, groups, and what is held out.

use std::collections::HashSet;

use regraft::data::{self, Dataset, RowSpec, Rows};
use regraft::extend::Key;
use regraft_images::{Finding, Images, Inspection, findings, groups};
use regraft_tensor::Detail;

use crate::config::Config;
use crate::features::{Features, Part as FeaturesPart};
use crate::split::held_out;
use crate::survey::Survey;
use crate::{Error, Result};

/// Pictures to learn from.
#[derive(Debug)]
pub(crate) struct Set {
    pub images: Images,
    /// The names of the classes that have pictures, in order.
    pub classes: Vec<String>,
    /// The class of each picture.
    pub labels: Vec<usize>,
    pub inspections: Vec<Inspection>,
    /// A row for each picture.
    pub features: Features,
    pub unreadable: Vec<(String, String)>,
    /// Pictures of one number belong together.
    pub groups: Vec<usize>,
    pub findings: Vec<Finding>,
    pub held_out: Vec<bool>,
    pub decoded: usize,
    /// What should be known besides.
    pub notes: Vec<String>,
}

impl Set {
    /// Checks that something can be learnt from the pictures, and divides them.
    pub fn of(survey: Survey, config: &Config) -> Result<Self> {
        let Survey {
            images,
            inspections,
            features,
            unreadable,
            decoded,
            ..
        } = survey;
        let place = config.photos.display().to_string();
        let given: Vec<usize> = images
            .labels()
            .iter()
            .map(|label| *label as usize)
            .collect();
        let mut counts = vec![0; images.classes().len()];
        given.iter().for_each(|label| counts[*label] += 1);
        let mut notes = Vec::new();
        let mut classes = Vec::new();
        let mut number = vec![0; counts.len()];
        for (class, (name, count)) in images.classes().iter().zip(&counts).enumerate() {
            number[class] = classes.len();
            match count {
                0 => notes.push(format!("{name} has no pictures and is no class")),
                _ => classes.push(name.clone()),
            }
        }
        if classes.len() < 2 {
            let received = match classes.first() {
                None => format!(
                    "none that can be read ({} files that cannot)",
                    unreadable.len()
                ),
                Some(name) => format!("pictures of {name} alone"),
            };
            let mut detail = Detail::new(place, "pictures of 2 classes or more", received);
            detail = match unreadable.first() {
                Some((name, reason)) => {
                    detail.help(format!("the first that cannot be read is {name}: {reason}"))
                }
                None => detail.help(
                    "put pictures of what else there is into another folder beside: \"other\", say",
                ),
            };
            return Err(Error::Pictures(detail));
        }
        let labels: Vec<usize> = given.into_iter().map(|label| number[label]).collect();
        let by_name = config
            .group
            .as_ref()
            .map(|pattern| images.groups_by_name(pattern))
            .transpose()?;
        let groups = groups(&inspections, by_name.as_deref());
        let contents: Vec<[u8; 32]> = inspections
            .iter()
            .map(|inspection| inspection.content)
            .collect();
        let held_out = held_out(&contents, &groups, config.holdout);
        let seen = Seen {
            place,
            classes: &classes,
            labels: &labels,
            groups: &groups,
            held_out: &held_out,
        };
        notes.extend(seen.enough(config.holdout)?);
        let numbers: Vec<i32> = labels.iter().map(|label| *label as i32).collect();
        let findings = findings(&inspections, &numbers, &classes);
        Ok(Set {
            images,
            classes,
            labels,
            inspections,
            features,
            unreadable,
            groups,
            findings,
            held_out,
            decoded,
            notes,
        })
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// The numbers of the pictures that are held out, or of the others.
    pub fn numbers(&self, held_out: bool) -> Vec<usize> {
        (0..self.len())
            .filter(|picture| self.held_out[*picture] == held_out)
            .collect()
    }

    /// The features of some pictures.
    pub fn rows(&self, pictures: &[usize]) -> Result<FeaturesPart<'_>> {
        self.features.of(pictures)
    }

    /// The labels of some pictures.
    pub fn labels_of(&self, pictures: &[usize]) -> Vec<usize> {
        pictures
            .iter()
            .map(|picture| self.labels[*picture])
            .collect()
    }

    /// The groups of some pictures.
    pub fn groups_of(&self, pictures: &[usize]) -> Vec<usize> {
        pictures
            .iter()
            .map(|picture| self.groups[*picture])
            .collect()
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.groups.iter().collect::<HashSet<_>>().len()
    }

    /// How many pictures each class has.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        self.labels.iter().for_each(|label| counts[*label] += 1);
        counts
    }

    /// What was found, in a few words.
    pub fn told(&self) -> String {
        let groups = self.group_count();
        let mut told = format!("{} pictures of {} classes", self.len(), self.classes.len());
        if groups < self.len() {
            told += &format!(" in {groups} groups");
        }
        if !self.unreadable.is_empty() {
            told += &format!(", {} files that cannot be read", self.unreadable.len());
        }
        told
    }

    /// Some pictures with their classes, as a data set.
    pub fn dataset(&self, pictures: &[usize]) -> Part<'_> {
        Part {
            set: self,
            pictures: pictures.to_vec(),
        }
    }

    /// BLAKE3 over names and contents: the same for the same pictures.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for (picture, inspection) in self.inspections.iter().enumerate() {
            let name = self.images.name(picture);
            hasher
                .update(&(name.len() as u64).to_le_bytes())
                .update(name.as_bytes());
            hasher.update(&inspection.content);
            hasher.update(self.classes[self.labels[picture]].as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// What there is to learn from.
struct Seen<'a> {
    place: String,
    classes: &'a [String],
    labels: &'a [usize],
    groups: &'a [usize],
    held_out: &'a [bool],
}

impl Seen<'_> {
    /// An error if nothing can be learnt or nothing told of what was learnt; otherwise what should be known.
    fn enough(self, holdout: f64) -> Result<Vec<String>> {
        let mut different = vec![HashSet::new(); self.classes.len()];
        let mut all = different.clone();
        for (picture, label) in self.labels.iter().enumerate() {
            all[*label].insert(self.groups[picture]);
            if !self.held_out[picture] {
                different[*label].insert(self.groups[picture]);
            }
        }
        let of = |wanted: &dyn Fn(usize) -> bool| -> Vec<&str> {
            let classes = self.classes.iter().enumerate();
            let wanted = classes.filter(|(class, _)| wanted(*class));
            wanted.map(|(_, name)| name.as_str()).collect()
        };
        let none = of(&|class| different[class].is_empty());
        if !none.is_empty() {
            let expected = "pictures of each class to learn from";
            let received = format!("all of {} held out", none.join(", "));
            let help = format!(
                "which ones are is told by what is in them: add pictures, or hold out less than {holdout}"
            );
            let detail = Detail::new(self.place, expected, received);
            return Err(Error::Pictures(detail.help(help)));
        }
        let single = of(&|class| all[class].len() == 1);
        let left = of(&|class| different[class].len() == 1);
        let received = match (
            self.classes.len() - single.len(),
            self.classes.len() - left.len(),
        ) {
            (0 | 1, _) => Some(single.join(", ")),
            (_, 0) => Some(format!("{}, but for what is held out", left.join(", "))),
            _ => None,
        };
        if let Some(received) = received {
            let received = format!("a single one (duplicates count once) of {received}");
            let expected = "2 different pictures or more of each of 2 classes";
            let help = "with one nothing can be said about the others: add pictures";
            let detail = Detail::new(self.place, expected, received);
            return Err(Error::Pictures(detail.help(help)));
        }
        let mut notes = Vec::new();
        if holdout > 0.0 && !self.held_out.contains(&true) {
            notes.push(format!(
                "no picture is held out: {} are too few for a share of {holdout}",
                self.labels.len()
            ));
        }
        Ok(notes)
    }
}

/// Some pictures of a set, with the numbers of their classes there.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    set: &'a Set,
    pictures: Vec<usize>,
}

impl Dataset for Part<'_> {
    fn len(&self) -> usize {
        self.pictures.len()
    }

    fn inputs(&self) -> Vec<RowSpec> {
        self.set.images.inputs()
    }

    fn targets(&self) -> Vec<RowSpec> {
        vec![RowSpec::integers([])]
    }

    fn fill(&self, samples: &[usize], key: Key, rows: &mut Rows) -> Result<(), Detail> {
        let pictures: Vec<usize> = samples
            .iter()
            .map(|sample| self.pictures[*sample])
            .collect();
        self.set.images.fill(&pictures, key, rows)?;
        // A class without pictures has no number in the set.
        if let Some(targets) = rows.integers(data::Part::Target(0)) {
            for (target, picture) in targets.iter_mut().zip(pictures) {
                *target = self.set.labels[picture] as i32;
            }
        }
        Ok(())
    }
}

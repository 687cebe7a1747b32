//! What is wrong with pictures, without any network.

use std::path::{Path, PathBuf};

use regraft_images::{Finding, findings, groups};
use regraft_report::Level;

use crate::Result;
use crate::findings::level;
use crate::kept::{Kept, cache_folder};
use crate::observer::{Observer, Stage};
use crate::opened::opened;
use crate::survey::survey;

/// What was found in a folder of pictures.
#[derive(Debug)]
#[non_exhaustive]
pub struct Checked {
    /// The names of the pictures that can be read: findings speak of them by their places here.
    pub pictures: Vec<String>,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// How many pictures each class has.
    pub counts: Vec<usize>,
    /// How many groups there are, of pictures that no split may part.
    pub groups: usize,
    /// What was found, the most serious first.
    pub findings: Vec<Finding>,
    /// Names of the files that cannot be read, and why.
    pub unreadable: Vec<(String, String)>,
    /// Files that lie beside the folders of the classes.
    pub outside: Vec<PathBuf>,
}

impl Checked {
    /// Whether something was found that makes the classifier or its estimate worse.
    pub fn is_serious(&self) -> bool {
        !self.unreadable.is_empty()
            || self
                .findings
                .iter()
                .any(|finding| level(finding.kind) > Level::Note)
    }
}

/// Looks at the pictures of a folder, or of a CSV file. `cache` is where measures are kept from run to run.
///
/// # Errors
/// A folder that is none of pictures, and what the observer stops.
pub fn check(
    photos: impl AsRef<Path>,
    cache: Option<&Path>,
    observer: &mut dyn Observer,
) -> Result<Checked> {
    let images = opened(photos.as_ref())?;
    let mut kept = Kept::open(cache.unwrap_or(&cache_folder()))?;
    let survey = survey(&images, None, &mut kept, observer)?;
    observer.begin(Stage::Check, 1);
    let classes = survey.images.classes().to_vec();
    let mut counts = vec![0; classes.len()];
    survey
        .images
        .labels()
        .iter()
        .for_each(|label| counts[*label as usize] += 1);
    let found = findings(&survey.inspections, survey.images.labels(), &classes);
    let mut groups = groups(&survey.inspections, None);
    groups.sort_unstable();
    groups.dedup();
    observer.end(Stage::Check, &format!("{} findings", found.len()));
    Ok(Checked {
        pictures: (0..survey.inspections.len())
            .map(|picture| survey.images.name(picture))
            .collect(),
        classes,
        counts,
        groups: groups.len(),
        findings: found,
        unreadable: survey.unreadable,
        outside: images.outside().to_vec(),
    })
}

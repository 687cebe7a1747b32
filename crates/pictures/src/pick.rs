//! Which backbone: each is asked about some of the pictures, by heads that have not seen them.

use std::path::Path;

use regraft_heads::Transferability;

use crate::Result;
use crate::config::Config;
use crate::extractor::Extractor;
use crate::forecast::per_picture;
use crate::kept::{Kept, cache_folder};
use crate::observer::Observer;
use crate::opened::opened;
use crate::run_file::Share;
use crate::set::Set;
use crate::solution;
use crate::survey::survey;

/// As many pictures of a class at most.
const PER_CLASS: usize = 40;

/// As many of all.
const ALL: usize = 800;

/// A backbone, and what is said of the pictures with it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Candidate {
    /// As it was named.
    pub backbone: String,
    /// The mean of −ln of the right class' probability, by heads that have not seen the picture: what they are ranked
    /// by.
    pub log_loss: f64,
    /// The share of right answers.
    pub accuracy: Share,
    /// What else backbones are ranked by: LogME and H-score.
    pub transferability: Transferability,
    /// Milliseconds of the network for a picture, on all cores.
    pub milliseconds: f64,
    /// The number of features.
    pub features: usize,
    /// Whether no other is both better and faster.
    pub is_on_front: bool,
}

/// Tries backbones on up to 40 pictures of each class and ranks them, the best first.
///
/// # Errors
/// What is no backbone, and pictures from which nothing can be learnt.
pub fn pick(
    config: &Config,
    backbones: &[String],
    cache: Option<&Path>,
    observer: &mut dyn Observer,
) -> Result<Vec<Candidate>> {
    let all = opened(&config.photos)?;
    let images = all.keep(&some(all.labels(), all.classes().len()));
    let cache = cache.map_or_else(cache_folder, Path::to_path_buf);
    let mut kept = Kept::open(&cache)?;
    let mut candidates = Vec::new();
    for backbone in backbones {
        let config = Config {
            backbone: backbone.clone(),
            ..config.clone()
        };
        let extractor = Extractor::open(&config)?;
        observer.note(&format!("{backbone}: {}", extractor.told.join("; ")));
        let images = images.clone().resize(config.resize(extractor.size)?);
        let (_, seconds) = per_picture(&images, &extractor)?;
        let set = Set::of(
            survey(&images, Some(&extractor), &mut kept, observer)?,
            &config,
        )?;
        let numbers = set.numbers(false);
        let (rows, labels) = (set.rows(&numbers)?, set.labels_of(&numbers));
        let solution = solution::solve(&rows, &labels, &set.groups_of(&numbers), &config, &cache)?;
        candidates.push(Candidate {
            backbone: backbone.clone(),
            log_loss: solution.told.log_loss(),
            accuracy: solution.told.accuracy(),
            transferability: Transferability::of(&rows, &solution::numbers(&labels))?,
            milliseconds: 1e3 * seconds,
            features: extractor.width(),
            is_on_front: true,
        });
    }
    candidates.sort_by(|a, b| a.log_loss.total_cmp(&b.log_loss));
    let mut fastest = f64::INFINITY;
    for candidate in &mut candidates {
        candidate.is_on_front = candidate.milliseconds < fastest;
        fastest = fastest.min(candidate.milliseconds);
    }
    Ok(candidates)
}

/// Some pictures of each class, evenly over their order.
fn some(labels: &[i32], classes: usize) -> Vec<usize> {
    let most = PER_CLASS.min((ALL / classes.max(1)).max(2));
    let mut taken = Vec::new();
    for class in 0..classes {
        let of: Vec<usize> = (0..labels.len())
            .filter(|picture| labels[*picture] as usize == class)
            .collect();
        let count = most.min(of.len());
        taken.extend((0..count).map(|at| of[at * of.len() / count]));
    }
    taken.sort_unstable();
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_share() {
        let labels: Vec<i32> = (0..1000).map(|at| i32::from(at % 10 == 0)).collect();
        let some = some(&labels, 2);
        assert_eq!(some.len(), 80);
        assert_eq!(
            some.iter().filter(|picture| labels[**picture] == 1).count(),
            40
        );
        assert!(some.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(super::some(&[0, 0, 1], 2), [0, 1, 2]);
    }
}

//! Which pictures without labels would teach most, and what their answers teach.

use std::fmt;
use std::path::{Path, PathBuf};

use regraft_heads::{Learner, Lesson};
use regraft_tensor::Detail;

use crate::extractor::Extractor;
use crate::features::Features;
use crate::kept::{Kept, cache_folder};
use crate::observer::Observer;
use crate::opened::{opened, opened_unlabeled};
use crate::run_file::RunFile;
use crate::set::Set;
use crate::solution::ridge;
use crate::survey::survey;
use crate::{Error, Result};

/// Pictures without labels, ranked by what they would teach a classifier. Each answer changes the head at once, and the
/// ranks with it: see [`Learner::rank`].
pub struct Labelling {
    classes: Vec<String>,
    paths: Vec<PathBuf>,
    /// Of the pictures without labels, (pictures, features).
    features: Features,
    answers: Vec<Option<usize>>,
    learner: Learner,
    /// Names of files that could not be read, and why.
    pub unreadable: Vec<(String, String)>,
}

/// A picture without a label.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Question {
    /// Its number.
    pub picture: usize,
    /// The file.
    pub path: PathBuf,
    /// The class that is most probable.
    pub guess: usize,
    /// How probable that is.
    pub confidence: f64,
    /// What it would teach: more is better.
    pub worth: f64,
}

impl Labelling {
    /// The pictures of a folder, at any depth, or those of a CSV file with the column `path`, for the classifier in
    /// `folder`. Its own pictures must still be where they were: a ridge regression is solved with them.
    ///
    /// # Errors
    /// What is no classifier, pictures of it that have gone, no pictures, and what the observer stops.
    pub fn open(
        folder: impl AsRef<Path>,
        unlabeled: impl AsRef<Path>,
        cache: Option<&Path>,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let run = RunFile::read(folder)?;
        let config = &run.config;
        let extractor = Extractor::open(config)?;
        let resize = config.resize(extractor.size)?;
        let mut kept = Kept::open(cache.unwrap_or(&cache_folder()))?;
        let known = opened(&config.photos)?.resize(resize);
        let set = Set::of(
            survey(&known, Some(&extractor), &mut kept, observer)?,
            config,
        )?;
        if set.classes != run.classes {
            let place = config.photos.display().to_string();
            let detail = Detail::new(place, run.classes.join(", "), set.classes.join(", "));
            return Err(Error::Pictures(
                detail.help("train again with the pictures as they are now"),
            ));
        }
        let new = opened_unlabeled(unlabeled.as_ref())?.resize(resize);
        let found = survey(&new, Some(&extractor), &mut kept, observer)?;
        if found.inspections.is_empty() {
            let detail = Detail::new(
                unlabeled.as_ref().display().to_string(),
                "pictures",
                "none that can be read",
            );
            return Err(Error::Pictures(detail));
        }
        let learner = ridge(&set.features.all()?, &set.labels, &set.groups, config)?.learner()?;
        Ok(Labelling {
            classes: run.classes,
            paths: found.images.paths().to_vec(),
            answers: vec![None; found.inspections.len()],
            features: found.features,
            learner,
            unreadable: found.unreadable,
        })
    }

    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Up to `count` pictures that have no answer yet, in the order in which they would teach most: each counts as
    /// known for those that follow.
    ///
    /// # Errors
    /// Features that are no numbers.
    pub fn questions(&self, count: usize) -> Result<Vec<Question>> {
        let open: Vec<usize> = (0..self.paths.len())
            .filter(|picture| self.answers[*picture].is_none())
            .collect();
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.features.of(&open)?.tensor(0, open.len())?;
        let question = |lesson: Lesson| Question {
            picture: open[lesson.row],
            path: self.paths[open[lesson.row]].clone(),
            guess: lesson.guess,
            confidence: lesson.probability,
            worth: lesson.worth,
        };
        Ok(self
            .learner
            .rank(&rows, count)?
            .into_iter()
            .map(question)
            .collect())
    }

    /// The number of a picture by its path, or by the end of it.
    pub fn find(&self, path: &Path) -> Option<usize> {
        let absolute =
            |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let wanted = absolute(path);
        let known = |is: &dyn Fn(&PathBuf) -> bool| self.paths.iter().position(is);
        known(&|known| absolute(known) == wanted).or_else(|| known(&|known| known.ends_with(path)))
    }

    /// Takes the answer to a picture: the head is another one from now on.
    ///
    /// # Errors
    /// A picture or a class that there is not, or a picture that has an answer.
    pub fn answer(&mut self, picture: usize, class: usize) -> Result<()> {
        if !matches!(self.answers.get(picture), Some(None)) {
            let detail = Detail::new("an answer", "the number of a picture without one", picture);
            return Err(Error::Setting(detail));
        }
        let row = self.features.of(&[picture])?.tensor(0, 1)?;
        self.learner.learn(row.as_slice(), class)?;
        self.answers[picture] = Some(class);
        Ok(())
    }

    /// The answers that were given: path and class.
    pub fn answers(&self) -> Vec<(&Path, &str)> {
        let given = self.paths.iter().zip(&self.answers);
        given
            .filter_map(|(path, answer)| Some((path.as_path(), self.classes[(*answer)?].as_str())))
            .collect()
    }
}

impl fmt::Debug for Labelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answered = self.answers.iter().flatten().count();
        f.debug_struct("Labelling")
            .field("classes", &self.classes)
            .field("pictures", &self.paths.len())
            .field("answered", &answered)
            .finish_non_exhaustive()
    }
}

/// The paths and labels of a CSV file with these columns.
///
/// # Errors
/// A file that cannot be read, or is no such table.
pub fn read_answers(file: impl AsRef<Path>) -> Result<Vec<(PathBuf, String)>> {
    let images = opened(file.as_ref())?;
    let labels = images
        .labels()
        .iter()
        .map(|label| images.classes()[*label as usize].clone());
    Ok(images.paths().iter().cloned().zip(labels).collect())
}

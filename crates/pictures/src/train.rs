//! From a folder of pictures to a classifier, in the order in which it is done.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use regraft_images::Finding;
use regraft_tensor::Detail;

use crate::artifacts::{Work, hash_of};
use crate::config::Config;
use crate::destination::Destination;
use crate::extractor::Extractor;
use crate::improve::{Improved, Until, improve};
use crate::kept::{Kept, cache_folder};
use crate::observer::{Observer, Stage};
use crate::opened::opened;
use crate::run_file::RunFile;
use crate::set::Set;
use crate::solution::solve;
use crate::spent::Spent;
use crate::survey::survey;
use crate::told::Told;
use crate::{Error, Result};

/// Makes a classifier of a folder of pictures.
///
/// ```no_run
/// use regraft_pictures::Train;
///
/// let trained = Train::new("photos").backbone("mobilenet_v2.keras").run(&mut ())?;
/// println!("{}: {:.3}", trained.folder.display(), trained.run.estimate.accuracy.value);
/// # Ok::<(), regraft_pictures::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is done before `run`"]
pub struct Train {
    config: Config,
    output: Option<PathBuf>,
    replace: bool,
    cache: Option<PathBuf>,
    minutes: Option<f64>,
    /// What it has to agree with, if a run is repeated.
    repeats: Option<Box<RunFile>>,
}

/// What came of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Trained {
    /// Where the artifacts are.
    pub folder: PathBuf,
    /// What stands in `run.toml`.
    pub run: RunFile,
    /// What was found in the data, the most serious first.
    pub findings: Vec<Finding>,
    /// Names of the files that could not be read, and why.
    pub unreadable: Vec<(String, String)>,
    /// Every picture with what is said of it by a head that has not seen it.
    pub pictures: Vec<Seen>,
    /// The numbers of the pictures by how doubtful their labels are, the most doubtful first.
    pub suspects: Vec<usize>,
    /// What came of training the top of the backbone, if that was asked for.
    pub improved: Option<String>,
    /// Times of the stages.
    pub spent: Spent,
    /// How many pictures had to be decoded.
    pub decoded: usize,
}

/// A picture, and what is said of it by a head that has not seen it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Seen {
    /// Its path below the folder.
    pub path: String,
    /// The number of its class.
    pub label: usize,
    /// The most probable class.
    pub answer: usize,
    /// How probable that is.
    pub confidence: f64,
    /// How probable its label is.
    pub label_probability: f64,
    /// Whether it was held out.
    pub held_out: bool,
    /// Whether the answer tells something: not where its class has a single group, without which there is no such
    /// class.
    pub is_known: bool,
}

impl Train {
    /// Of this folder, with a folder for each class, or of this CSV file with the columns `path` and `label`.
    pub fn new(photos: impl Into<PathBuf>) -> Self {
        Self::with(Config {
            photos: photos.into(),
            ..Config::default()
        })
    }

    /// With these settings.
    pub fn with(config: Config) -> Self {
        Train {
            config,
            output: None,
            replace: false,
            cache: None,
            minutes: None,
            repeats: None,
        }
    }

    /// What a run did, once more: the same bytes, or an error that says what has changed.
    ///
    /// # Errors
    /// As [`RunFile::read`].
    pub fn again(run: impl AsRef<Path>) -> Result<Self> {
        let run = RunFile::read(run)?;
        let train = Self::with(run.config.clone());
        Ok(Train {
            repeats: Some(Box::new(run)),
            ..train
        })
    }

    /// The name of a network, or a file that holds one; `mobilenet_v2` unless told otherwise.
    pub fn backbone(mut self, backbone: impl Into<String>) -> Self {
        self.config.backbone = backbone.into();
        self
    }

    /// Changes the settings.
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Where the artifacts go; beside the pictures, with `.regraft` behind their name, unless told otherwise.
    pub fn output(mut self, folder: impl Into<PathBuf>) -> Self {
        self.output = Some(folder.into());
        self
    }

    /// Whether artifacts that are there are replaced. If not, they are an error.
    pub fn replace(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }

    /// Where features and measures are kept from run to run; [`cache_folder`] unless told otherwise.
    pub fn cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = Some(folder.into());
        self
    }

    /// Trains the top of the backbone for so many minutes, and keeps that if it is better on pictures that were held
    /// out. A fifth of them is, unless [`Config::holdout`] says otherwise.
    pub fn improve(mut self, minutes: f64) -> Self {
        self.minutes = Some(minutes);
        self
    }

    /// The settings as they are.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Does it.
    ///
    /// # Errors
    /// [`Error::Exists`] if artifacts are there already, [`Error::Pictures`] if nothing can be learnt from the
    /// pictures, [`Error::Cancelled`] if the observer said so, and those of the crates below. Nothing is half-written.
    pub fn run(&self, observer: &mut dyn Observer) -> Result<Trained> {
        let mut config = self.config.clone();
        config.check()?;
        let improves = self.minutes.is_some() || config.improve_epochs > 0;
        if improves && config.holdout == 0.0 {
            config.holdout = 0.2;
        }
        let mut spent = Spent::begin();
        let output = self
            .output
            .clone()
            .unwrap_or_else(|| beside(&config.photos));
        let images = opened(&config.photos)?;
        let destination = Destination::new(&output, self.replace)?;
        let extractor = Extractor::open(&config)?;
        for told in &extractor.told {
            observer.note(told);
        }
        let images = images.resize(config.resize(extractor.size)?);
        let cache = self.cache.clone().unwrap_or_else(cache_folder);
        let mut kept = Kept::open(&cache)?;
        if self.repeats.is_some() {
            // What is compared with that run is what is in the files.
            kept.stamps.forget();
        }

        let mut survey = survey(&images, Some(&extractor), &mut kept, observer)?;
        spent.append(std::mem::replace(&mut survey.spent, Spent::begin()));
        if let Some(problem) = kept.problem() {
            observer.note(&format!("not all was kept for the next run: {problem}"));
        }

        let began = Instant::now();
        observer.begin(Stage::Check, 1);
        let set = Set::of(survey, &config)?;
        set.notes.iter().for_each(|note| observer.note(note));
        let backbone = hash_of(&extractor.file)?;
        if let Some(run) = &self.repeats {
            same_as(run, &set, &extractor, &backbone)?;
        }
        observer.end(Stage::Check, &set.told());
        spent.add(Stage::Check, began);
        go_on(observer)?;

        let began = Instant::now();
        observer.begin(Stage::Solve, 1);
        let (trained, held) = (set.numbers(false), set.numbers(true));
        if improves && held.is_empty() {
            return Err(nothing_to_judge_by(&config, set.len()));
        }
        let mut solution = solve(
            &set.rows(&trained)?,
            &set.labels_of(&trained),
            &set.groups_of(&trained),
            &config,
            &cache,
        )?;
        let head = &solution.solved;
        let mut model =
            extractor.with_head(head.kernel().clone(), head.bias().clone(), &set.classes)?;
        let mut of_held_out = solution.told_of(
            &set.rows(&held)?,
            set.labels_of(&held),
            set.groups_of(&held),
        )?;
        observer.end(Stage::Solve, &solution.chosen());
        spent.add(Stage::Solve, began);
        go_on(observer)?;

        let mut improved = None;
        if improves {
            let began = Instant::now();
            if let Some(minutes) = self.minutes {
                spent.predict(Stage::Improve, 60.0 * minutes);
            }
            observer.begin(Stage::Improve, config.improve_epochs);
            let until = match (self.minutes, config.improve_epochs) {
                (Some(minutes), 0) => Until::Time(began + Duration::from_secs_f64(60.0 * minutes)),
                (_, epochs) => Until::Epochs(epochs),
            };
            let (train, validation) = (set.dataset(&trained), set.dataset(&held));
            let found = improve(&model, &train, &validation, until, config.seed, observer)?;
            go_on(observer)?;
            config.improve_epochs = found.epochs;
            let told = found.told();
            observer.end(Stage::Improve, &told);
            if let Improved {
                model: Some(better),
                ..
            } = found
            {
                model = better;
                let probabilities = model.predict_dataset(&validation)?.swap_remove(0);
                of_held_out.probabilities = probabilities
                    .as_slice()
                    .iter()
                    .map(|p| f64::from(*p))
                    .collect();
                solution.judge_by(&of_held_out, config.alpha)?;
                improved = Some(told);
            }
            spent.add(Stage::Improve, began);
        }

        let began = Instant::now();
        observer.begin(Stage::Write, 1);
        let told = of_all(&set, [(&solution.told, &trained), (&of_held_out, &held)]);
        let work = Work {
            config,
            extractor: &extractor,
            backbone,
            set: &set,
            solution: &solution,
            model: &model,
            trained: &trained,
            told: &told,
            of_held_out: &of_held_out,
            improved: improved.clone(),
            cache: &cache,
            store: &kept.features,
        };
        let run = work.write(destination, &spent, observer)?;
        spent.add(Stage::Write, began);
        observer.end(Stage::Write, &output.display().to_string());
        let seen = |picture: usize| {
            let (answer, confidence) = told.answer(picture);
            let label = set.labels[picture];
            Seen {
                path: set.images.name(picture),
                label,
                answer,
                confidence,
                label_probability: told.row(picture)[label],
                held_out: set.held_out[picture],
                is_known: told.known[picture],
            }
        };
        Ok(Trained {
            folder: output,
            run,
            pictures: (0..set.len()).map(seen).collect(),
            suspects: solution
                .suspects
                .iter()
                .map(|suspect| trained[suspect.sample])
                .collect(),
            findings: set.findings,
            unreadable: set.unreadable,
            improved,
            spent,
            decoded: set.decoded,
        })
    }
}

/// Beside the pictures, with `.regraft` behind their name.
fn beside(photos: &Path) -> PathBuf {
    let ended = |name: &OsStr| {
        let mut name = name.to_os_string();
        name.push(".regraft");
        name
    };
    if let Some(name) = photos.file_name() {
        return photos.with_file_name(ended(name));
    }
    // `.`, `..` and the like: what they are called.
    let real = photos.canonicalize().ok();
    match real.as_deref().and_then(Path::file_name) {
        Some(name) => ended(name).into(),
        None => photos.with_file_name("photos.regraft"),
    }
}

/// What is said of all pictures of a set, put together of its parts.
fn of_all(set: &Set, parts: [(&Told, &Vec<usize>); 2]) -> Told {
    let classes = set.classes.len();
    let mut probabilities = vec![0.0; classes * set.len()];
    let mut known = vec![false; set.len()];
    for (part, numbers) in parts {
        for (row, picture) in numbers.iter().enumerate() {
            probabilities[picture * classes..][..classes].copy_from_slice(part.row(row));
            known[*picture] = part.known[row];
        }
    }
    Told {
        classes,
        probabilities,
        labels: set.labels.clone(),
        groups: set.groups.clone(),
        known,
    }
}

/// Whether training the network helps is told by pictures that were held out.
fn nothing_to_judge_by(config: &Config, pictures: usize) -> Error {
    let place = config.photos.display().to_string();
    let expected = "pictures that are held out, to see whether training the network helps";
    let received = format!("none of {pictures} with a share of {}", config.holdout);
    let detail = Detail::new(place, expected, received);
    Error::Pictures(detail.help("add pictures, or hold out more"))
}

/// An error if somebody wants to stop.
fn go_on(observer: &dyn Observer) -> Result<()> {
    match observer.is_cancelled() {
        true => Err(Error::Cancelled),
        false => Ok(()),
    }
}

/// An error if what a run was made of is not what is there now.
fn same_as(run: &RunFile, set: &Set, extractor: &Extractor, backbone: &str) -> Result<()> {
    let help = "to train on what is there now, leave `--from` out";
    if run.regraft != env!("CARGO_PKG_VERSION") {
        let detail = Detail::new(
            "run.toml",
            format!("Regraft {}", run.regraft),
            env!("CARGO_PKG_VERSION"),
        );
        return Err(Error::Classifier(
            detail.help(format!("repeat it with that version; {help}")),
        ));
    }
    if run.backbone.blake3 != backbone {
        let detail = Detail::new(
            extractor.file.display().to_string(),
            "the file of that run",
            "another one",
        );
        return Err(Error::Backbone(detail.help(help)));
    }
    if run.pictures.blake3 != set.hash() {
        let place = run.config.photos.display().to_string();
        let expected = format!("the {} pictures of that run", run.pictures.count);
        let received = format!("{}, or others", set.len());
        return Err(Error::Pictures(
            Detail::new(place, expected, received).help(help),
        ));
    }
    Ok(())
}

//! A classifier that `train` made: its answers to pictures that it has not seen.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use regraft::{Model, Predictor, Tensor};
use regraft_heads::AnswerSet;
use regraft_images::{Images, Picture, Resize};
use regraft_tensor::Detail;

use crate::artifacts::{MODEL, hash_of};
use crate::extractor::HEAD;
use crate::observer::{Observer, Stage};
use crate::opened::opened;
use crate::run_file::{AnswerSetRecord, RunFile, Share};
use crate::solution::LOGIT;
use crate::survey::reason;
use crate::told::{Told, largest};
use crate::{Error, Result};

/// So many pictures are in memory at a time.
const BATCH: usize = 64;

/// A classifier of a folder that [`Train`](crate::Train) wrote.
///
/// ```no_run
/// use regraft_pictures::Classifier;
///
/// let classifier = Classifier::open("photos.regraft")?;
/// for answer in classifier.predict(["new/1.jpg", "new/2.jpg"], &mut ())? {
///     println!("{}: {}", answer.path.display(), classifier.name_of(&answer));
/// }
/// # Ok::<(), regraft_pictures::Error>(())
/// ```
#[derive(Debug)]
pub struct Classifier {
    run: RunFile,
    model: Model,
    /// Gives features and probabilities.
    predictor: Predictor,
    resize: Resize,
}

/// What a classifier says of a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The file.
    pub path: PathBuf,
    /// The probabilities of the classes, or why the file cannot be read.
    pub probabilities: Result<Vec<f64>, String>,
    /// The most probable class; `None` if it does not know, or the file cannot be read.
    pub class: Option<usize>,
}

/// How good a classifier is on pictures of which the classes are known.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Evaluation {
    /// The share of pictures of which the most probable class is right, as in the estimate of the training: of those
    /// answered with "unknown", too.
    pub accuracy: Share,
    /// The share of right answers among those that are not "unknown"; `None` if all are.
    pub answered: Option<Share>,
    /// The mean over classes of the accuracy in each.
    pub balanced_accuracy: f64,
    /// The mean of −ln of the right class' probability.
    pub log_loss: f64,
    /// The expected calibration error, over 15 bins.
    pub calibration_error: f64,
    /// How many were answered with "unknown".
    pub unknown: usize,
    /// The share of pictures whose [set of classes](Classifier::answer_set) has the right one.
    pub covered: f64,
    /// Pictures by class (rows) and most probable class (columns).
    pub confusion: Vec<Vec<usize>>,
    /// Of each class the pictures of which the most probable class is right, and all.
    pub per_class: Vec<(usize, usize)>,
    /// Every picture that could be read: name, class and answer.
    pub answers: Vec<(String, usize, Answer)>,
    /// Names of the files that could not be read, and why.
    pub unreadable: Vec<(String, String)>,
}

impl Classifier {
    /// The classifier in a folder; a file in it will do.
    ///
    /// # Errors
    /// [`Error::Classifier`] for a folder that is none of ours, of another version, or whose model is not the one
    /// that belongs to it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let folder = match path.is_file() {
            true => path.parent().unwrap_or(Path::new(".")),
            false => path,
        };
        let run = RunFile::read(folder)?;
        let file = folder.join(MODEL);
        if run.files.get(MODEL) != Some(&hash_of(&file)?) {
            let detail = Detail::new(
                file.display().to_string(),
                "the model that `run.toml` tells of",
                "another",
            );
            let help = "its answers would not be as sure as `run.toml` says: train again, or put the model back";
            return Err(Error::Classifier(detail.help(help)));
        }
        let (model, _) = Model::open(&file)?;
        let resize = run.config.resize(run.backbone.size)?;
        let layers = model.layers();
        let backbone = layers
            .iter()
            .rev()
            .nth(1)
            .map(|layer| layer.path().to_string());
        let backbone = backbone.expect("a backbone before the head");
        let predictor = model.features([backbone.as_str(), HEAD])?.predictor()?;
        drop(layers);
        Ok(Classifier {
            run,
            model,
            predictor,
            resize,
        })
    }

    /// What is known about it.
    pub fn run(&self) -> &RunFile {
        &self.run
    }

    /// The whole network, from pixels (0 to 255) to probabilities.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// How pictures get the size that it sees.
    pub fn resize(&self) -> &Resize {
        &self.resize
    }

    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.run.classes
    }

    /// The class of an answer: its name, `unknown`, or `unreadable`.
    pub fn name_of(&self, answer: &Answer) -> &str {
        match (answer.class, &answer.probabilities) {
            (Some(class), _) => &self.run.classes[class],
            (None, Ok(_)) => "unknown",
            (None, Err(_)) => "unreadable",
        }
    }

    /// The classes that hold the right one in as many cases as [`Config::alpha`](crate::Config::alpha) says, the
    /// most probable first: at least one.
    pub fn answer_set(&self, answer: &Answer) -> Vec<usize> {
        let Ok(probabilities) = &answer.probabilities else {
            return Vec::new();
        };
        let AnswerSetRecord {
            alpha, threshold, ..
        } = self.run.answer_set;
        // As the network gave them.
        let probabilities: Vec<f32> = probabilities.iter().map(|p| *p as f32).collect();
        AnswerSet { threshold, alpha }.answer(&probabilities)
    }

    /// Answers to files, in their order. What cannot be read is said in the answer.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the observer said so.
    pub fn predict(
        &self,
        pictures: impl IntoIterator<Item = impl Into<PathBuf>>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Answer>> {
        let images = Images::unlabeled(pictures)?;
        self.answers(&images, observer, |_, _| {})
    }

    /// How good it is on the pictures of a folder with a folder for each class, or of a CSV file.
    ///
    /// # Errors
    /// [`Error::Pictures`] for classes that it does not know, or no pictures; [`Error::Cancelled`].
    pub fn evaluate(
        &self,
        photos: impl AsRef<Path>,
        observer: &mut dyn Observer,
    ) -> Result<Evaluation> {
        let photos = photos.as_ref();
        let images = opened(photos)?;
        let number = |name: &String| {
            self.run
                .classes
                .iter()
                .position(|known| known == name)
                .ok_or_else(|| {
                    let expected = format!("the classes {}", self.run.classes.join(", "));
                    let detail = Detail::new(photos.display().to_string(), expected, name);
                    Error::Pictures(
                        detail.help("name the folders as those that it was trained with"),
                    )
                })
        };
        let numbers: Vec<usize> = images.classes().iter().map(number).collect::<Result<_>>()?;
        let answers = self.answers(&images, observer, |_, _| {})?;
        let mut told = Told {
            classes: self.run.classes.len(),
            ..Told::default()
        };
        let (mut unreadable, mut readable) = (Vec::new(), Vec::new());
        let (mut unknown, mut covered, mut right) = (0, 0, 0);
        let mut confusion = vec![vec![0; told.classes]; told.classes];
        for (picture, answer) in answers.into_iter().enumerate() {
            let label = numbers[images.labels()[picture] as usize];
            match &answer.probabilities {
                Err(reason) => unreadable.push((images.name(picture), reason.clone())),
                Ok(probabilities) => {
                    told.probabilities.extend(probabilities);
                    // Nothing is known of what belongs together in a new folder.
                    told.groups.push(told.labels.len());
                    told.known.push(true);
                    told.labels.push(label);
                    covered += usize::from(self.answer_set(&answer).contains(&label));
                    unknown += usize::from(answer.class.is_none());
                    right += usize::from(answer.class == Some(label));
                    confusion[label][largest(probabilities).0] += 1;
                    readable.push((images.name(picture), label, answer));
                }
            }
        }
        if readable.is_empty() {
            let received = format!(
                "none that can be read ({} files that cannot)",
                unreadable.len()
            );
            return Err(Error::Pictures(Detail::new(
                photos.display().to_string(),
                "pictures",
                received,
            )));
        }
        Ok(Evaluation {
            accuracy: told.accuracy(),
            answered: (unknown < readable.len())
                .then(|| Share::of(right, readable.len() - unknown)),
            balanced_accuracy: told.balanced_accuracy(),
            log_loss: told.log_loss(),
            calibration_error: told.calibration_error(),
            unknown,
            covered: covered as f64 / readable.len() as f64,
            confusion,
            per_class: told.per_class(),
            answers: readable,
            unreadable,
        })
    }

    /// As [`predict`](Self::predict), and writes the features of the files into a `.safetensors` file: what the head
    /// takes, a row of `features` for each file that can be read, whose paths are the JSON list `paths` of its
    /// metadata.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the observer said so, [`Error::Regraft`] if it cannot be written.
    pub fn write_features(
        &self,
        pictures: impl IntoIterator<Item = impl Into<PathBuf>>,
        file: impl AsRef<Path>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Answer>> {
        let (mut rows, mut paths) = (Vec::new(), Vec::new());
        let images = Images::unlabeled(pictures)?;
        let answers = self.answers(&images, observer, |path, features| {
            rows.extend(features.iter().flat_map(|value| value.to_le_bytes()));
            paths.push(path.display().to_string());
        })?;
        let header = serde_json::json!({
            "__metadata__": {"paths": serde_json::json!(paths).to_string()},
            "features": {
                "dtype": "F32",
                "shape": [paths.len(), self.run.backbone.features],
                "data_offsets": [0, rows.len()],
            },
        });
        let mut header = header.to_string();
        while !header.len().is_multiple_of(8) {
            header.push(' ');
        }
        let bytes = [
            &(header.len() as u64).to_le_bytes(),
            header.as_bytes(),
            &rows,
        ]
        .concat();
        regraft::io::write_file(file, &bytes).map_err(regraft::Error::from)?;
        Ok(answers)
    }

    /// Answers to pictures, and the features of each that can be read.
    fn answers(
        &self,
        images: &Images,
        observer: &mut dyn Observer,
        mut with_features: impl FnMut(&Path, &[f32]),
    ) -> Result<Vec<Answer>> {
        let images = images.clone().resize(self.resize);
        let count = images.paths().len();
        observer.begin(Stage::Features, count);
        let mut answers = Vec::with_capacity(count);
        let all: Vec<usize> = (0..count).collect();
        for numbers in all.chunks(BATCH) {
            if observer.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let load = |number: &usize| {
                images
                    .load(*number)
                    .and_then(|picture| picture.resize(images.size()))
            };
            let loaded: Vec<_> = numbers.par_iter().map(load).collect();
            let mut readable = Vec::new();
            let loaded: Vec<Option<String>> = loaded
                .into_iter()
                .map(|picture| match picture {
                    Ok(picture) => {
                        readable.push(picture);
                        None
                    }
                    Err(error) => Some(reason(&error)),
                })
                .collect();
            let [features, probabilities] = self.computed(&readable)?;
            let width = self.run.backbone.features;
            let features = features.as_slice().chunks_exact(width);
            let rows = probabilities
                .as_slice()
                .chunks_exact(self.run.classes.len());
            let mut of_readable = features.zip(rows);
            for (number, reason) in numbers.iter().zip(loaded) {
                let path = images.paths()[*number].clone();
                answers.push(match reason {
                    Some(reason) => Answer {
                        path,
                        probabilities: Err(reason),
                        class: None,
                    },
                    None => {
                        let (features, probabilities) = of_readable.next().expect("a row for each");
                        with_features(&path, features);
                        let probabilities: Vec<f64> =
                            probabilities.iter().map(|p| f64::from(*p)).collect();
                        let class = self.class_of(features, &probabilities);
                        Answer {
                            path,
                            probabilities: Ok(probabilities),
                            class,
                        }
                    }
                });
            }
            observer.progress(Stage::Features, answers.len());
        }
        observer.end(Stage::Features, &format!("{count} pictures"));
        Ok(answers)
    }

    /// Features and probabilities of pictures in the size that the network sees.
    fn computed(&self, pictures: &[Picture]) -> Result<[Tensor; 2]> {
        if pictures.is_empty() {
            let none = |width: usize| Tensor::zeros([0, width]);
            return Ok([
                none(self.run.backbone.features),
                none(self.run.classes.len()),
            ]);
        }
        let [rows, columns] = self.run.backbone.size;
        let pixels = pictures
            .iter()
            .flat_map(|picture| picture.pixels().iter().map(|level| f32::from(*level)));
        let batch = Tensor::new([pictures.len(), rows, columns, 3], pixels.collect())
            .expect("pictures of one size");
        let outputs = self.predictor.predict_all(&batch)?;
        Ok(<[Tensor; 2]>::try_from(outputs).expect("the two outputs that were asked for"))
    }

    /// The class, if it is known.
    fn class_of(&self, features: &[f32], probabilities: &[f64]) -> Option<usize> {
        let (class, confidence) = largest(probabilities);
        let unknown = &self.run.unknown;
        let score = match unknown.score.as_str() {
            LOGIT => self.largest_logit(features),
            _ => confidence,
        };
        (!unknown.can_tell || score >= unknown.threshold).then_some(class)
    }

    fn largest_logit(&self, features: &[f32]) -> f64 {
        let weight = |name: &str| {
            self.model
                .weight(&format!("{HEAD}/{name}"))
                .expect("the head has it")
                .value()
        };
        let (kernel, bias) = (weight("kernel").as_slice(), weight("bias").as_slice());
        let mut logits: Vec<f64> = bias.iter().map(|bias| f64::from(*bias)).collect();
        for (x, row) in features.iter().zip(kernel.chunks_exact(bias.len())) {
            for (logit, weight) in logits.iter_mut().zip(row) {
                *logit += f64::from(*x) * f64::from(*weight);
            }
        }
        largest(&logits).1
    }
}

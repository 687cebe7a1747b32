//! `run.toml`: what a classifier was made of, what is known about it, and how to make it again.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use regraft_tensor::Detail;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::destination::RUN_FILE;
use crate::error::io;
use crate::{Error, Result};

/// The version of this file's layout.
pub(crate) const FORMAT: i64 = 1;

/// All that `run.toml` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunFile {
    /// The version of the layout.
    pub format: i64,
    /// The version of Regraft that wrote it.
    pub regraft: String,
    /// The classes, in the order of the model's outputs.
    pub classes: Vec<String>,
    /// The settings: `regraft train --from run.toml` takes them.
    pub config: Config,
    /// What it was trained on.
    pub pictures: Pictures,
    /// What the features are from.
    pub backbone: BackboneRecord,
    /// The head.
    pub head: HeadRecord,
    /// What to expect of it.
    pub estimate: EstimateRecord,
    /// When it says that it does not know.
    pub unknown: UnknownRecord,
    /// The sets of classes that hold the right one.
    pub answer_set: AnswerSetRecord,
    /// BLAKE3 of the files beside this one.
    pub files: BTreeMap<String, String>,
}

/// The pictures of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pictures {
    /// How many were used.
    pub count: usize,
    /// How many could not be read.
    pub unreadable: usize,
    /// How many of them in each class.
    pub per_class: Vec<usize>,
    /// How many groups they form.
    pub groups: usize,
    /// How many were held out.
    pub held_out: usize,
    /// BLAKE3 over the paths within the folder and what is in the files.
    pub blake3: String,
}

/// The network that gives the features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackboneRecord {
    /// Its name.
    pub name: String,
    /// How it was found, cut and fed.
    pub told: Vec<String>,
    /// Rows and columns of what it sees.
    pub size: [usize; 2],
    /// The number of features.
    pub features: usize,
    /// BLAKE3 of the file with its weights.
    pub blake3: String,
    /// [`Model::frozen_digest`](regraft::Model::frozen_digest) of all of it.
    pub frozen: String,
}

/// The head that was solved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HeadRecord {
    /// Which, and its setting.
    pub chosen: String,
    /// Why it was chosen.
    pub why: String,
    /// By what its scores are divided to be calibrated.
    pub temperature: f64,
}

/// A share with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The share found.
    pub value: f64,
    /// The lower end of the 95 % interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// What to expect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EstimateRecord {
    /// Of how the numbers were found.
    pub how: String,
    /// The accuracy.
    pub accuracy: Share,
    /// The mean over classes of the accuracy in each.
    pub balanced_accuracy: f64,
    /// What one would have found had duplicates stood on both sides.
    pub careless: f64,
    /// The mean negative logarithm of the right class' probability.
    pub log_loss: f64,
    /// The expected calibration error.
    pub calibration_error: f64,
    /// The classes of which these numbers tell nothing: those of a single group, without which there is no such class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_classes: Vec<String>,
    /// The accuracy on what was held out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out: Option<Share>,
}

/// The answer "unknown".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UnknownRecord {
    /// Whether the test with classes left out passed.
    pub can_tell: bool,
    /// What is compared with the threshold: `largest probability` or `largest logit`.
    pub score: String,
    /// How well, in that test: the area under the curve, .5 for nothing.
    pub auroc: f64,
    /// Below it the answer is "unknown", if it can be told.
    pub threshold: f64,
}

/// The sets of classes that hold the right one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AnswerSetRecord {
    /// The share of sets that may miss it.
    pub alpha: f64,
    /// A class is in the set if its probability is at least this; the most probable one always.
    pub threshold: f64,
    /// How many classes are in a set, on average.
    pub mean_size: f64,
}

impl EstimateRecord {
    /// A sentence on what these numbers leave out; `None` if they are about all classes.
    pub fn leaves_out(&self) -> Option<String> {
        let names = self.unknown_classes.join(", ");
        match self.unknown_classes.len() {
            0 => None,
            1 => Some(format!(
                "nothing is known of {names}: it has a single picture, or a single group of them, and is in no number"
            )),
            _ => Some(format!(
                "nothing is known of {names}: each has a single picture, or a single group of them, and is in no number"
            )),
        }
    }
}

impl RunFile {
    /// Reads the file of a folder, or the file itself.
    ///
    /// # Errors
    /// A file that cannot be read, is not a run's, or one of another version.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let path = match path.is_dir() {
            true => path.join(RUN_FILE),
            false => path.to_path_buf(),
        };
        let shown = path.display().to_string();
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                let detail = Detail::new(&shown, "a run's `run.toml`", "no such file");
                Error::Classifier(detail.help("name a folder that `regraft train` wrote"))
            }
            _ => io(&path, "a run's `run.toml`", &error),
        })?;
        let wrong = |received: String| Detail::new(&shown, "a run's `run.toml`", received);
        let table: toml::Table = toml::from_str(&text)
            .map_err(|error| Error::Classifier(wrong(error.message().to_string())))?;
        match table.get("format").and_then(toml::Value::as_integer) {
            Some(FORMAT) => {}
            Some(other) => {
                let detail = Detail::new(
                    &shown,
                    format!("format {FORMAT}"),
                    format!("format {other}"),
                );
                let by = table
                    .get("regraft")
                    .and_then(toml::Value::as_str)
                    .unwrap_or("another version");
                let help = format!(
                    "it was written by Regraft {by}: use that, or train again with this one"
                );
                return Err(Error::Classifier(detail.help(help)));
            }
            None => {
                return Err(Error::Classifier(wrong(
                    "a file without `format`".to_string(),
                )));
            }
        }
        toml::from_str(&text).map_err(|error| Error::Classifier(wrong(error.message().to_string())))
    }

    /// The text of the file.
    pub(crate) fn to_text(&self) -> String {
        let text = toml::to_string(self).expect("all of it are tables, strings and numbers");
        format!("# Repeat it: regraft train --from {RUN_FILE}\n{text}")
    }
}

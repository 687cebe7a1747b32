//! What `train` is told, as it stands in `run.toml`.

use std::path::PathBuf;

use regraft_images::{Fit, Resize};
use regraft_tensor::Detail;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The settings of a run, all that its result depends on besides the files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Config {
    /// The pictures: a folder with a folder for each class, or a CSV file with the columns `path` and `label`.
    pub photos: PathBuf,
    /// The backbone: the name of an application, or a file that holds a network.
    pub backbone: String,
    /// A file with the weights of the application that `backbone` names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    /// The layer at which the backbone ends, if not where the classifier begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// What the backbone expects of pixels, where its layers do not tell: `none`, `tf`, `caffe`, `torch`, `scaled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<String>,
    /// Rows and columns of what the backbone sees, where it leaves a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// How pictures are resized: `bilinear`, `bicubic`, `lanczos3`, `nearest`.
    pub interpolation: String,
    /// What becomes of another aspect ratio: `stretch`, `crop`, `pad`.
    pub fit: String,
    /// A regular expression on paths: pictures that agree in what it catches stay together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The share of pictures that is kept out of training and looked at in the end.
    pub holdout: f64,
    /// Which head: `ridge`, `lda`, `nearest-mean`, `logistic`, or `auto`, the best of the first three.
    pub head: String,
    /// How much rare classes are raised: 0 not at all, 1 until all count the same.
    pub balance: f64,
    /// One in how many answer sets may miss the right class, as a share.
    pub alpha: f64,
    /// Epochs in which the top of the backbone is trained; `--improve` finds out how many fit into its minutes.
    pub improve_epochs: usize,
    /// The seed of whatever is drawn.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            photos: PathBuf::new(),
            backbone: "mobilenet_v2".to_string(),
            weights: None,
            layer: None,
            preprocessing: None,
            size: None,
            interpolation: "bilinear".to_string(),
            fit: "stretch".to_string(),
            group: None,
            holdout: 0.0,
            head: "auto".to_string(),
            balance: 0.0,
            alpha: 0.1,
            improve_epochs: 0,
            seed: 0,
        }
    }
}

impl Config {
    /// Refuses numbers without meaning, before anything is begun.
    pub(crate) fn check(&self) -> Result<()> {
        let within = |name: &str, value: f64, from: f64, to: f64| match (from..to).contains(&value)
        {
            true => Ok(()),
            false => {
                let expected = format!("a number from {from} to less than {to}");
                Err(Error::Setting(Detail::new(name, expected, value)))
            }
        };
        within("holdout", self.holdout, 0.0, 0.9)?;
        within("balance", self.balance, 0.0, 1.0 + f64::EPSILON)?;
        within("alpha", self.alpha, 0.001, 1.0)?;
        Ok(())
    }

    /// How pictures get the size that the backbone sees.
    pub(crate) fn resize(&self, size: [usize; 2]) -> Result<Resize> {
        let fit = match self.fit.as_str() {
            "stretch" => Fit::Stretch,
            "crop" => Fit::Crop,
            "pad" => Fit::Pad,
            other => {
                let detail = Detail::new("fit", "stretch, crop or pad", format!("{other:?}"));
                return Err(Error::Setting(detail));
            }
        };
        Ok(Resize::new(size)
            .interpolation(self.interpolation.parse()?)
            .fit(fit))
    }
}

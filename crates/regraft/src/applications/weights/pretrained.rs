//! Applications with the weights that are published for them.

use std::path::{Path, PathBuf};

use regraft_tensor::Detail;

use super::file::WeightsFile;
use super::keras_files;
use super::lookup::Lookup;
use crate::applications::application::{Application, Architecture};
use crate::applications::backbone::Backbone;
use crate::applications::imagenet;
use crate::{Error, Result};

impl<A: Architecture + ?Sized> Application<A> {
    /// Builds the model with the weights that Keras publishes for it (or torchvision, or timm), learnt from ImageNet:
    /// those on this machine or, with the feature `download`, from the publisher's server. Where they are looked for,
    /// [`weights`](crate::applications::weights) says.
    ///
    /// torchvision's and timm's networks may have other classes, or images with other channels, than the weights:
    /// then the classifier is new, and the first convolution is what timm makes of the published one (its sum over
    /// the colours for one channel; otherwise these again and again, times 3 / n for n channels).
    ///
    /// An EfficientNet gets the scaling that belongs to Keras' weights
    /// ([`imagenet_scaling`](Application::imagenet_scaling)).
    ///
    /// # Errors
    /// As [`build`](Self::build) and [`Lookup::find`]; [`Error::Setting`] for settings that Keras has no weights
    /// for: a width of its own, another number of channels, or with the top another number of classes.
    pub fn pretrained(&self) -> Result<Backbone> {
        self.pretrained_with(&Lookup::new())
    }

    /// As [`pretrained`](Self::pretrained), looking where `lookup` says.
    ///
    /// # Errors
    /// As that.
    pub fn pretrained_with(&self, lookup: &Lookup) -> Result<Backbone> {
        let path = self.find_weights(lookup)?;
        self.with_imagenet(path).build()
    }

    /// The file with the weights that [`pretrained_with`](Self::pretrained_with) loads.
    ///
    /// # Errors
    /// As that.
    pub fn find_weights(&self, lookup: &Lookup) -> Result<PathBuf> {
        let file = self.weights_file()?;
        lookup.find(&file, |path| self.with_imagenet(path).build().map(drop))
    }

    /// The published file for these settings, wherever it is.
    ///
    /// # Errors
    /// [`Error::Setting`] for settings that there are no weights for.
    pub fn weights_file(&self) -> Result<WeightsFile> {
        let options = self.checked_options()?;
        let name = self.architecture.name(&options);
        let refused = |key: &str, expected: String, received: String| {
            let detail = Detail::new(format!("{name}/{key}"), expected, received);
            let help = "leave it as it was in training, or build the model with random weights";
            Error::Setting(detail.help(help))
        };
        let [.., channels] = options.input_shape;
        // PyTorch's networks get a new classifier, and a first convolution that is made of the published one.
        let adapts = self.architecture.pytorch().is_some();
        if channels != 3 && !adapts {
            let expected = "3 channels, which the published weights take".to_string();
            return Err(refused("input_shape", expected, format!("{channels}")));
        }
        if options.include_top && options.classes != imagenet::COUNT && !adapts {
            let expected = format!("ImageNet's {} classes, or no top", imagenet::COUNT);
            return Err(refused("classes", expected, format!("{}", options.classes)));
        }
        self.architecture.imagenet_weights(&options).ok_or_else(|| {
            let known = match adapts {
                true => Vec::new(),
                false => keras_files::settings_of(&name),
            };
            match known.is_empty() {
                true => {
                    let expected = "a network that somebody publishes weights for";
                    let detail = Detail::new(&name, expected, "another one");
                    Error::Setting(detail.help("load weights of your own with `weights(path)`"))
                }
                false => {
                    let expected = format!("one of Keras' settings: {}", known.join("; "));
                    refused("weights", expected, "others".to_string())
                }
            }
        })
    }

    /// This application with Keras' weights in a file.
    fn with_imagenet(&self, path: impl AsRef<Path>) -> Self {
        let mut application = self.clone().weights(path);
        application.options.imagenet_weights = true;
        application
    }
}

//! A network together with what it expects of images.

use regraft_tensor::Tensor;

use super::preprocessing::{Preprocessed, Preprocessing};
use crate::training::input::IntoData;
use crate::{LoadReport, Model, Result};

/// What [`Application::build`](super::Application::build) gives: the model, and the preprocessing that
/// belongs to it.
#[derive(Debug)]
pub struct Backbone {
    /// The network.
    pub model: Model,
    /// What it expects of images.
    pub preprocessing: Preprocessing,
    /// What was loaded from where, if weights were.
    pub load_report: Option<LoadReport>,
}

impl Backbone {
    /// Images `(samples, rows, columns, channels)` with pixels from 0 to 255, as the network takes
    /// them. The caller's array stays as it was.
    ///
    /// # Errors
    /// As [`Preprocessing::apply`].
    pub fn preprocess<'a>(&self, images: impl IntoData<'a>) -> Result<Preprocessed> {
        self.preprocessing.apply(images)
    }

    /// The network's output for images with pixels from 0 to 255, which are preprocessed first.
    ///
    /// # Errors
    /// As [`Preprocessing::apply`], and images of another size than the network takes.
    pub fn predict<'a>(&self, images: impl IntoData<'a>) -> Result<Tensor> {
        self.model.predict(&self.preprocess(images)?)
    }
}

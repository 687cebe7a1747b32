//! Prediction by the model itself: with a predictor that it keeps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use regraft_data::Dataset;
use regraft_tensor::Tensor;

use crate::predictor::{Compiled, Predictor};
use crate::training::input::IntoInputs;
use crate::{Model, Result};

/// A network's [`version`](regraft_layers::Model::version).
type Version = (u64, u64);

/// What prediction has compiled of a model, and of which version of it.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Option<(Version, Arc<Compiled>)>>);

impl Kept {
    /// Lets it go, so that values that are trained now are not shared, and need not be copied.
    pub fn forget(&mut self) {
        *self = Kept::default();
    }
}

impl Model {
    /// What predicts as this model does now, apart from it: a [`Predictor`] is cheap to clone, and any
    /// number of threads predict with it at the same time.
    ///
    /// # Errors
    /// A model whose input shape is not known.
    pub fn predictor(&self) -> Result<Predictor> {
        let version = self.network.version();
        // Whoever panicked while holding the lock has left what was there before.
        let mut kept = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner);
        let compiled = match kept.take() {
            Some((of, compiled)) if of == version => compiled,
            _ => Arc::new(Compiled::of(&self.network)?),
        };
        *kept = Some((version, compiled.clone()));
        Ok(Predictor::new(compiled, self.class_names.clone()))
    }

    /// The model's output for samples `x`, one row per sample. A model of several inputs takes a tuple
    /// or a list of arrays, `predict((&images, &sizes))`, or arrays by the inputs' names.
    ///
    /// The first call compiles the model, later ones use what was compiled until something of the model
    /// changes; [`predictor`](Self::predictor) gives it.
    ///
    /// # Errors
    /// Data that do not fit the model, NaN or infinity among them; a model of several outputs.
    pub fn predict<'a>(&self, x: impl IntoInputs<'a>) -> Result<Tensor> {
        self.predictor()?.predict(x)
    }

    /// As [`predict`](Self::predict), all outputs of the model in order.
    ///
    /// # Errors
    /// Data that do not fit the model, NaN or infinity among them.
    pub fn predict_all<'a>(&self, x: impl IntoInputs<'a>) -> Result<Vec<Tensor>> {
        self.predictor()?.predict_all(x)
    }

    /// As [`predict_all`](Self::predict_all), for the samples of a data set, which are made or read a few at a
    /// time: features of more pictures than fit into memory, say, with
    /// `model.cut_at("…")?.predict_dataset(&data)`.
    ///
    /// # Errors
    /// As [`fit_dataset`](Self::fit_dataset).
    pub fn predict_dataset(&self, data: &dyn Dataset) -> Result<Vec<Tensor>> {
        self.predictor()?.predict_dataset(data)
    }

    /// As [`predict_all`](Self::predict_all), with each output under its name.
    ///
    /// ```
    /// use regraft::ndarray::Array2;
    /// use regraft::layers::{Dense, Functional};
    ///
    /// let mut f = Functional::new();
    /// let x = f.input([2]);
    /// let (a, b) = (f.apply(Dense::new(1), &[x])?, f.apply(Dense::new(3), &[x])?);
    /// let model = f.model(&[("x", x)], &[("score", a), ("kind", b)])?;
    /// let outputs = model.predict_named([("x", &Array2::<f32>::zeros((4, 2)))])?;
    /// assert_eq!(outputs["kind"].shape(), [4, 3]);
    /// # Ok::<(), regraft::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`predict_all`](Self::predict_all).
    pub fn predict_named<'a>(&self, x: impl IntoInputs<'a>) -> Result<BTreeMap<String, Tensor>> {
        self.predictor()?.predict_named(x)
    }

    /// As [`predict`](Self::predict), of a model whose output is spelled by a
    /// [`StringLookup`](crate::layers::StringLookup) that goes from numbers to strings: one string for each
    /// element, in row-major order.
    ///
    /// # Errors
    /// As [`predict`](Self::predict), and a model whose output are numbers.
    pub fn predict_strings<'a>(&self, x: impl IntoInputs<'a>) -> Result<Vec<String>> {
        self.predictor()?.predict_strings(x)
    }
}

//! Prediction by the model itself: with a predictor that it keeps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use regraft_data::Dataset;
use regraft_features::FeatureStore;
use regraft_tensor::Tensor;

use crate::predictor::{Compiled, Predictor};
use crate::training::input::IntoInputs;
use crate::training::steps::Steps;
use crate::{Extracted, Model, Result};

/// A network's [`version`](regraft_layers::Model::version).
type Version = (u64, u64);

/// Of which network and training an evaluation was compiled, and for which shapes of what a sample counts.
type EvaluationVersion = (Version, u64, Vec<Vec<usize>>);

/// What prediction and evaluation have compiled of a model, and of which version of it.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    predictor: Mutex<Option<(Version, Arc<Compiled>)>>,
    pub evaluation: Option<(EvaluationVersion, Steps)>,
}

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
        let kept = self.kept.predictor.lock();
        let mut kept = kept.unwrap_or_else(PoisonError::into_inner);
        let compiled = match kept.take() {
            Some((of, compiled)) if of == version => compiled,
            _ => Arc::new(Compiled::of(&self.network, self.precision.as_deref())?),
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

    /// As [`predict_dataset`](Self::predict_dataset), where what `store` has is not computed, and what it has not
    /// is put there: of a folder of pictures, the second time, nothing is decoded or computed but what is new.
    ///
    /// Rows are found by what the model computes (its ops with their settings, its weights' bits, and what it
    /// gives for two samples of random numbers, so that another machine's or version's bits are noticed) and
    /// by each sample's [`content`](Dataset::content). They are the same as without the store, bit for bit. Of
    /// augmented data make [`views`](regraft_data::Map::views). What cannot be kept is computed all the same:
    /// [`Extracted::not_kept`] says why.
    ///
    /// ```
    /// use regraft::data::Arrays;
    /// use regraft::layers::{Dense, Input, layers};
    /// use regraft::{FeatureStore, Sequential};
    ///
    /// # let folder = std::env::temp_dir().join(format!("regraft-doc-{}", std::process::id()));
    /// let model = Sequential::new(layers![Input::new([4]), Dense::new(2)])?;
    /// let x = regraft::ndarray::Array2::from_shape_fn((8, 4), |(i, j)| (i * 4 + j) as f32);
    /// let data = Arrays::new(&x, Vec::<regraft::Data>::new())?;
    /// let store = FeatureStore::open(&folder)?.budget(1 << 30);
    /// let first = model.extract_features(&data, &store)?;
    /// let second = model.extract_features(&data, &store)?;
    /// assert_eq!((first.computed, second.computed), (8, 0));
    /// assert_eq!(second.into_tensor()?, model.predict(&x)?);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), regraft::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`predict_dataset`](Self::predict_dataset), and a store that cannot be read.
    pub fn extract_features(&self, data: &dyn Dataset, store: &FeatureStore) -> Result<Extracted> {
        self.predictor()?.extract_features(data, store)
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

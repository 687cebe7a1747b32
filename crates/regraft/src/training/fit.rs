//! Training: `fit`, on arrays and on data sets.

use regraft_data::Dataset;

use crate::training::compiled::not_compiled;
use crate::training::input::IntoInputs;
use crate::training::options::Fit;
use crate::training::prepare;
use crate::training::samples::Samples;
use crate::training::session::Session;
use crate::training::unoptimised;
use crate::{History, Model, Result};

impl Model {
    /// Trains on samples `x` with targets `y` and returns the loss and metrics of every epoch. A model
    /// of several inputs or outputs takes a tuple or a list of arrays, in their order.
    ///
    /// Only what is trainable now is trained. The frozen part in front of it is run once per sample
    /// where its results do not depend on anything else ([`FeatureCache`](crate::FeatureCache)).
    ///
    /// # Errors
    /// Data that do not fit the model, the loss or each other; NaN, infinity or a label out of
    /// range, with the place of the first; a setting without meaning. All of this is found before
    /// the first step.
    pub fn fit<'a>(
        &mut self,
        x: impl IntoInputs<'a>,
        y: impl IntoInputs<'a>,
        mut options: Fit<'a>,
    ) -> Result<History> {
        options.check()?;
        let inputs = x.into_inputs()?;
        if let Some(first) = inputs.first() {
            self.ensure_built(first.shape().get(1..).unwrap_or_default())?;
        }
        let training = self.training.as_ref().ok_or_else(not_compiled)?;
        let (objective, targets) = (&training.objective, y.into_inputs()?);
        let data = prepare::arrays("x", "y", &self.network, objective, inputs, targets)?;
        self.fit_samples(data, options)
    }

    /// As [`fit`](Self::fit), on a data set of which samples are made or read when they are asked for: it
    /// may be larger than memory. Frozen parts are run once per sample if the data say that samples are the
    /// same in every epoch, and otherwise at every step. `validation_split`, class weights and callbacks do
    /// what they do for arrays, and the numbers are the same in every bit.
    ///
    /// ```
    /// use regraft::data::Arrays;
    /// use regraft::layers::{Dense, Input, layers};
    /// use regraft::{Fit, Sequential, Verbosity};
    ///
    /// let x = regraft::ndarray::Array2::<f32>::zeros((8, 4));
    /// let data = Arrays::new(&x, &[0, 1, 0, 1, 0, 1, 0, 1])?;
    /// let mut model = Sequential::new(layers![Input::new([4]), Dense::new(2)])?;
    /// model.compile("adam", "sparse_categorical_crossentropy", ())?;
    /// model.fit_dataset(&data, Fit::new().verbosity(Verbosity::Silent))?;
    /// # Ok::<(), regraft::Error>(())
    /// ```
    ///
    /// # Errors
    /// Data of other shapes or types than the model and the loss take; and, when they are read, samples
    /// with NaN, infinity or a label out of range, and whatever the data set says.
    pub fn fit_dataset<'a>(
        &mut self,
        data: &'a dyn Dataset,
        mut options: Fit<'a>,
    ) -> Result<History> {
        options.check()?;
        if let Some(first) = data.inputs().first() {
            self.ensure_built(&first.shape)?;
        }
        let training = self.training.as_ref().ok_or_else(not_compiled)?;
        let data = prepare::stream("data", &self.network, &training.objective, data)?;
        self.fit_samples(data, options)
    }

    fn fit_samples<'a>(&mut self, data: Samples<'a>, mut options: Fit<'a>) -> Result<History> {
        unoptimised::note(options.verbosity);
        if let Some(distillation) = &options.distillation {
            distillation.check_classes(self.class_names())?;
        }
        let training = self.training.as_mut().ok_or_else(not_compiled)?;
        training.fit_to(&self.network)?;
        training.check_optimizer()?;
        let (data, validation) = prepare::parts(&self.network, training, data, &options)?;
        Session::new(self, data, validation, &options)?.train(&mut options)
    }

    /// Makes the weights for samples of this shape, if that has not been done.
    fn ensure_built(&mut self, sample: &[usize]) -> Result<()> {
        match self.is_built() {
            true => Ok(()),
            false => self.build(sample),
        }
    }
}

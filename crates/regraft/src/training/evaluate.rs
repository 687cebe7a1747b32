//! Evaluation: loss and metrics on data, nothing trained.

use regraft_autograd::Run;
use regraft_data::Dataset;
use regraft_features::FeatureStore;
use regraft_layers::Model as Network;

use crate::training::batches::KeptFeatures;
use crate::training::compiled::{Training, not_compiled};
use crate::training::feature_cache::{FeatureCache, keep_features, most_at_once};
use crate::training::input::IntoInputs;
use crate::training::prepare;
use crate::training::read_ahead::{ReadAhead, Taken};
use crate::training::samples::{Samples, lasting_key};
use crate::training::scores::Scores;
use crate::training::steps::{Purpose, Steps};
use crate::training::totals::Totals;
use crate::{Model, Result};

/// Programs that evaluate a model again and again while its trained weights change.
#[derive(Debug)]
pub(crate) struct Evaluation<'s> {
    steps: Steps,
    features: Option<KeptFeatures<'s>>,
    batches: ReadAhead,
}

impl<'s> Evaluation<'s> {
    pub fn new(
        model: &Network,
        training: &Training,
        data: &Samples<'_>,
        cache: FeatureCache,
        times: usize,
        store: Option<&'s FeatureStore>,
    ) -> Result<Self> {
        let purpose = Purpose::Evaluate {
            objective: &training.objective,
            weighted: data.is_weighted(),
        };
        let mut steps = Steps::new(model, purpose, times > 1 || store.is_some())?;
        let features = keep_features(&mut steps, model, data, cache, times, store)?;
        Ok(Evaluation {
            batches: ReadAhead::new(steps.feed_plan(features.is_some()), data),
            steps,
            features,
        })
    }

    /// The loss and the metrics.
    pub fn run(
        &mut self,
        model: &Network,
        training: &mut Training,
        data: &Samples<'_>,
        batch_size: usize,
    ) -> Result<Scores> {
        let samples = data.len();
        let mut totals = Totals::begin(training);
        for from in (0..samples).step_by(batch_size) {
            let range = |from: usize| (from, (from + batch_size).min(samples));
            let (_, to) = range(from);
            let taken = Taken {
                order: None,
                range: (from, to),
                next: (to < samples).then(|| range(to)),
                key: lasting_key(),
            };
            let (steps, features) = (&mut self.steps, self.features.as_ref());
            self.batches.batch(data, features, taken, |batch, truth| {
                steps.run(batch, model.weights(), Run::default())?;
                totals.add(steps, truth, to - from)
            })?;
        }
        Ok(totals.scores(training))
    }
}

impl Model {
    /// The loss and the metrics on samples `x` with targets `y`: of a model of several inputs or
    /// outputs, a tuple or a list of arrays. With several outputs the scores have the loss of each.
    ///
    /// The loss is the mean of those of batches, as in Keras, and where it depends on them (a sum, a mask, an
    /// ignored class, a loss of the whole batch or of one's own) they are Keras' of 32.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn evaluate<'a>(
        &mut self,
        x: impl IntoInputs<'a>,
        y: impl IntoInputs<'a>,
    ) -> Result<Scores> {
        let training = self.training.as_ref().ok_or_else(not_compiled)?;
        let (inputs, targets) = (x.into_inputs()?, y.into_inputs()?);
        let objective = &training.objective;
        let data = prepare::arrays("x", "y", &self.network, objective, inputs, targets)?;
        self.evaluate_samples(data)
    }

    /// As [`evaluate`](Self::evaluate), on a data set of which samples are made or read when they are asked
    /// for.
    ///
    /// # Errors
    /// As [`fit_dataset`](Self::fit_dataset).
    pub fn evaluate_dataset(&mut self, data: &dyn Dataset) -> Result<Scores> {
        let training = self.training.as_ref().ok_or_else(not_compiled)?;
        let data = prepare::stream("data", &self.network, &training.objective, data)?;
        self.evaluate_samples(data)
    }

    fn evaluate_samples(&mut self, data: Samples<'_>) -> Result<Scores> {
        /// Large, so that all cores are used, where the mean does not depend on it.
        const BATCH: usize = 256;
        /// Keras' own, which matters elsewhere.
        const KERAS: usize = 32;
        let training = self.training.as_mut().ok_or_else(not_compiled)?;
        training.fit_to(&self.network)?;
        let (network, cache) = (&self.network, FeatureCache::Off);
        let mut evaluation = Evaluation::new(network, training, &data, cache, 1, None)?;
        let batch_size = match evaluation.steps.depends_on_batches {
            true => KERAS,
            false => BATCH.min(most_at_once(&data)),
        };
        evaluation.run(&self.network, training, &data, batch_size)
    }
}

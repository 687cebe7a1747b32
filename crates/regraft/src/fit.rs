//! Training: `fit` and its options.

use std::collections::BTreeMap;

use regraft_autograd::{Run, VariableId};
use regraft_layers::{Constraint, Model as LayersModel, WeightStore};
use regraft_optimizers::{ParameterInfo, ParameterSource, ParameterUpdate, Plan};
use regraft_tensor::Detail;

use crate::batches::{Batcher, Dataset, Rows, epoch_order};
use crate::callbacks::{Callback, Callbacks, Context, Moment, Parts};
use crate::evaluate::Evaluation;
use crate::history::Params;
use crate::input::{Data, IntoData, IntoInputs};
use crate::metrics;
use crate::prepare;
use crate::progress::Verbosity;
use crate::steps::{Features, Purpose, Steps};
use crate::trainable::{Network, Trainable, Training, not_compiled};
use crate::{Error, History, Result};

/// How to train: `Fit::new().epochs(5).batch_size(32)`. The defaults are Keras': one epoch, batches
/// of 32, samples in a new order in each epoch.
#[derive(Debug)]
#[must_use = "pass it to `fit`"]
pub struct Fit<'a> {
    pub(crate) epochs: usize,
    pub(crate) initial_epoch: usize,
    pub(crate) batch_size: usize,
    pub(crate) shuffle: bool,
    pub(crate) seed: u64,
    pub(crate) validation: Validation<'a>,
    pub(crate) class_weight: BTreeMap<i32, f32>,
    pub(crate) sample_weight: Option<Data<'a>>,
    pub(crate) callbacks: Vec<Box<dyn Callback + 'a>>,
    pub(crate) verbosity: Verbosity,
    pub(crate) feature_cache: FeatureCache,
    /// The first thing that was wrong with an option.
    error: Option<Error>,
}

/// What the model is validated on after each epoch.
#[derive(Debug)]
pub(crate) enum Validation<'a> {
    None,
    /// A share of the samples, the same share of each class.
    Split(f64),
    Data(Vec<Data<'a>>, Data<'a>),
}

/// Whether the outputs of the frozen prefix are kept, so that it runs once per sample instead of
/// once per epoch. The numbers are the same, bit for bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureCache {
    /// Kept if there are epochs to save and they fit into 2 GiB: the default.
    Auto,
    /// Kept if they fit into this many bytes.
    Limit(usize),
    /// Not kept.
    Off,
}

impl FeatureCache {
    /// The most bytes that are kept.
    pub fn limit(self) -> usize {
        match self {
            FeatureCache::Auto => 2 << 30,
            FeatureCache::Limit(bytes) => bytes,
            FeatureCache::Off => 0,
        }
    }
}

impl Default for Fit<'_> {
    fn default() -> Self {
        Fit {
            epochs: 1,
            initial_epoch: 0,
            batch_size: 32,
            shuffle: true,
            seed: 0,
            validation: Validation::None,
            class_weight: BTreeMap::new(),
            sample_weight: None,
            callbacks: Vec::new(),
            verbosity: Verbosity::default(),
            feature_cache: FeatureCache::Auto,
            error: None,
        }
    }
}

impl<'a> Fit<'a> {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of the last epoch: how many there are, unless training starts at a later one.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// The epoch to start at, for training that is resumed.
    pub fn initial_epoch(mut self, epoch: usize) -> Self {
        self.initial_epoch = epoch;
        self
    }

    /// The number of samples per step.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Whether each epoch takes the samples in a new order.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// Where orders, splits and dropout start: the same seed gives the same bytes.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Validates on these data after each epoch.
    pub fn validation_data(
        mut self,
        inputs: impl IntoInputs<'a>,
        targets: impl IntoData<'a>,
    ) -> Self {
        match (inputs.into_inputs(), targets.into_data()) {
            (Ok(inputs), Ok(targets)) => self.validation = Validation::Data(inputs, targets),
            (Err(error), _) | (_, Err(error)) => self.fail(error),
        }
        self
    }

    /// Keeps this share of the samples for validation after each epoch: drawn by the seed, the same
    /// share of each class (Keras takes the last samples as they lie, which in sorted data are of
    /// one class).
    pub fn validation_split(mut self, share: f64) -> Self {
        self.validation = Validation::Split(share);
        self
    }

    /// How much samples of each class count in the loss; classes not named count 1.
    pub fn class_weight(mut self, weights: impl IntoIterator<Item = (i32, f32)>) -> Self {
        self.class_weight = weights.into_iter().collect();
        self
    }

    /// How much each sample counts in the loss.
    pub fn sample_weight(mut self, weights: impl IntoData<'a>) -> Self {
        match weights.into_data() {
            Ok(weights) => self.sample_weight = Some(weights.into_floats()),
            Err(error) => self.fail(error),
        }
        self
    }

    /// Is told what happens, and may stop training. Pass `&mut callback` to look at it afterwards.
    pub fn callback(mut self, callback: impl Callback + 'a) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// How much is printed: a bar per epoch, a line per epoch, nothing.
    pub fn verbosity(mut self, verbosity: Verbosity) -> Self {
        self.verbosity = verbosity;
        self
    }

    /// Whether the outputs of the frozen prefix are kept.
    pub fn feature_cache(mut self, cache: FeatureCache) -> Self {
        self.feature_cache = cache;
        self
    }

    fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }

    fn check(&mut self) -> Result<()> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.batch_size == 0 {
            return Err(Error::Setting(Detail::new("batch_size", "at least 1", 0)));
        }
        if self.initial_epoch > self.epochs {
            let expected = format!("at most epochs = {}", self.epochs);
            let detail = Detail::new("initial_epoch", expected, self.initial_epoch);
            return Err(Error::Setting(
                detail.help("`epochs` is the number of the last epoch"),
            ));
        }
        if let Some((class, weight)) = self
            .class_weight
            .iter()
            .find(|(_, weight)| !weight.is_finite() || **weight < 0.0)
        {
            let at = format!("class_weight of class {class}");
            return Err(Error::Setting(Detail::new(
                at,
                "a finite number ≥ 0",
                weight,
            )));
        }
        Ok(())
    }
}

impl<N: Network> Trainable<N> {
    /// Trains on samples `x` with targets `y` and returns the loss and metrics of every epoch.
    ///
    /// Only what is trainable now is trained. The frozen part in front of it is run once per sample
    /// where its results do not depend on anything else ([`FeatureCache`]).
    ///
    /// # Errors
    /// Data that do not fit the model, the loss or each other; NaN, infinity or a label out of
    /// range, with the place of the first; a setting without meaning. All of this is found before
    /// the first step.
    pub fn fit<'a>(
        &mut self,
        x: impl IntoInputs<'a>,
        y: impl IntoData<'a>,
        mut options: Fit<'a>,
    ) -> Result<History> {
        options.check()?;
        let inputs = x.into_inputs()?;
        if let Some(first) = inputs.first() {
            self.network
                .ensure_built(first.shape().get(1..).unwrap_or_default())?;
        }
        let training = self.training.as_mut().ok_or_else(not_compiled)?;
        let model = self.network.model_mut();
        let (data, validation) =
            prepare::datasets(model, training, inputs, y.into_data()?, &options)?;
        let mut session = Session::new(model, training, &data, validation.as_ref(), &options)?;
        session.class_names = self.class_names.as_deref();
        session.train(&mut options)
    }
}

/// One `fit` under way.
struct Session<'s, 'd> {
    model: &'s mut LayersModel,
    training: &'s mut Training,
    class_names: Option<&'s [String]>,
    data: &'s Dataset<'d>,
    validation: Option<(&'s Dataset<'d>, Evaluation)>,
    steps: Steps,
    plan: Plan,
    constraints: Vec<(VariableId, Constraint)>,
    features: Option<Features>,
    batcher: Batcher,
    revision: u64,
}

impl<'s, 'd> Session<'s, 'd> {
    fn new(
        model: &'s mut LayersModel,
        training: &'s mut Training,
        data: &'s Dataset<'d>,
        validation: Option<&'s Dataset<'d>>,
        options: &Fit<'_>,
    ) -> Result<Self> {
        let mut steps = training_steps(model, training, data)?;
        let epochs = options.epochs - options.initial_epoch;
        let features = keep_features(&mut steps, model, data, options.feature_cache, epochs)?;
        let plan = prepare_optimizer(model, training, &steps)?;
        let validation = match validation {
            Some(data) => {
                let cache = options.feature_cache;
                Some((data, Evaluation::new(model, training, data, cache, epochs)?))
            }
            None => None,
        };
        Ok(Session {
            batcher: Batcher::new(steps.feed_plan(features.is_some())),
            constraints: constraints(model, &steps),
            revision: model.revision(),
            model,
            training,
            class_names: None,
            data,
            validation,
            steps,
            plan,
            features,
        })
    }

    /// What callbacks see.
    fn context(&mut self, options: &Fit<'_>) -> Context<'_> {
        let parts = Parts {
            model: self.model,
            training: self.training,
            class_names: self.class_names,
            validates: self.validation.is_some(),
            steps_per_epoch: self.data.len().div_ceil(options.batch_size),
        };
        Context::new(parts, options)
    }

    /// Compiles everything anew if a callback has changed what is frozen or the layers.
    fn refresh(&mut self, options: &Fit<'_>, epochs_left: usize) -> Result<()> {
        if self.revision == self.model.revision() {
            return Ok(());
        }
        self.revision = self.model.revision();
        self.steps = training_steps(self.model, self.training, self.data)?;
        let cache = options.feature_cache;
        self.features = keep_features(&mut self.steps, self.model, self.data, cache, epochs_left)?;
        self.plan = prepare_optimizer(self.model, self.training, &self.steps)?;
        self.constraints = constraints(self.model, &self.steps);
        self.batcher = Batcher::new(self.steps.feed_plan(self.features.is_some()));
        if let Some((data, evaluation)) = &mut self.validation {
            *evaluation = Evaluation::new(self.model, self.training, data, cache, epochs_left)?;
        }
        Ok(())
    }

    fn train(&mut self, options: &mut Fit<'_>) -> Result<History> {
        let steps_per_epoch = self.data.len().div_ceil(options.batch_size);
        let mut callbacks = Callbacks::new(std::mem::take(&mut options.callbacks));
        let mut history = History::new(Params {
            epochs: options.epochs,
            steps: steps_per_epoch,
        });
        let mut progress =
            crate::progress::Progress::new(options.verbosity, options.epochs, steps_per_epoch);
        let mut context = self.context(options);
        callbacks.tell(Moment::TrainBegin, &mut context, &mut history)?;
        let (mut epoch, mut stop) = (context.next_epoch(), context.stops());
        while epoch < options.epochs && !stop {
            let mut context = self.context(options);
            callbacks.tell(Moment::EpochBegin(epoch), &mut context, &mut history)?;
            let stops = context.stops();
            self.refresh(options, options.epochs - epoch)?;
            progress.begin_epoch(epoch);
            let mut logs =
                self.epoch(options, epoch, &mut callbacks, &mut history, &mut progress)?;
            stop = logs.stop || stops;
            if let Some((data, evaluation)) = &mut self.validation {
                let scores = evaluation.run(self.model, self.training, data, options.batch_size)?;
                logs.values.push(("val_loss".to_string(), scores.loss));
                let metrics = scores.metrics.into_iter();
                logs.values
                    .extend(metrics.map(|(name, value)| (format!("val_{name}"), value)));
            }
            let rate = f64::from(self.training.optimizer.learning_rate());
            let values = logs
                .values
                .iter()
                .map(|(name, value)| (name.as_str(), *value));
            let shown: Vec<(&str, f64)> = values.chain([("learning_rate", rate)]).collect();
            progress.end_epoch(&shown);
            history.push_epoch(epoch, logs.values);
            let mut context = self.context(options);
            callbacks.tell(Moment::EpochEnd(epoch), &mut context, &mut history)?;
            stop |= context.stops();
            epoch += 1;
        }
        self.refresh(options, 0)?;
        let mut source = Source::new(self.model.trained_weights_mut(), &self.steps);
        self.training.optimizer.finalize(&self.plan, &mut source)?;
        let mut context = self.context(options);
        callbacks.tell(Moment::TrainEnd, &mut context, &mut history)?;
        Ok(history)
    }

    fn epoch(
        &mut self,
        options: &Fit<'_>,
        epoch: usize,
        callbacks: &mut Callbacks<'_>,
        history: &mut History,
        progress: &mut crate::progress::Progress,
    ) -> Result<Logs> {
        let samples = self.data.len();
        let members = self.data.members.as_deref();
        let shuffled = options
            .shuffle
            .then(|| epoch_order(members, samples, options.seed, epoch));
        let order = shuffled.as_deref().or(members);
        let metrics = &mut self.training.metrics;
        for metric in metrics
            .iter_mut()
            .chain(&mut self.training.weighted_metrics)
        {
            metric.reset();
        }
        let (mut loss, mut seen, mut stop) = (0.0, 0_usize, false);
        let steps_per_epoch = samples.div_ceil(options.batch_size);
        for step in 0..steps_per_epoch {
            let range = (
                step * options.batch_size,
                ((step + 1) * options.batch_size).min(samples),
            );
            // A step's random numbers depend on its place in training alone, so that resumed
            // training draws the same.
            let run = Run {
                seed: options.seed,
                step: (epoch * steps_per_epoch + step) as u64,
            };
            let count = range.1 - range.0;
            loss += self.step(order, range, run)? * count as f64;
            seen += count;
            progress.step(|| {
                let rate = f64::from(self.training.optimizer.learning_rate());
                let metrics = self.training.metrics.iter();
                std::iter::once(("loss", loss / seen as f64))
                    .chain(metrics.map(|metric| (metric.name(), metric.result())))
                    .chain([("learning_rate", rate)])
                    .collect()
            });
            if callbacks.wants_batches() {
                let mut context = self.context(options);
                context.loss = loss / seen as f64;
                callbacks.tell(Moment::BatchEnd(epoch, step), &mut context, history)?;
                if context.stops() {
                    stop = true;
                    break;
                }
            }
        }
        let mut values = vec![("loss".to_string(), loss / seen.max(1) as f64)];
        let metrics = self
            .training
            .metrics
            .iter()
            .chain(&self.training.weighted_metrics);
        values.extend(metrics.map(|metric| (metric.name().to_string(), metric.result())));
        Ok(Logs { values, stop })
    }

    /// One step: the programs, the metrics, the optimizer, constraints, state. Returns the loss.
    fn step(&mut self, order: Option<&[u32]>, range: (usize, usize), run: Run) -> Result<f64> {
        let Session {
            model,
            training,
            data,
            steps,
            features,
            batcher,
            ..
        } = self;
        let (batch, rows) = batcher.batch(data, features.as_ref(), order, range);
        steps.run(&batch, model.weights(), run)?;
        update_metrics(training, steps, rows)?;
        let loss = f64::from(steps.loss_value());
        if !self.plan.is_empty() {
            let mut source = Source::new(model.trained_weights_mut(), steps);
            training.optimizer.apply(&self.plan, &mut source)?;
        }
        let store = model.trained_weights_mut();
        for (id, constraint) in &self.constraints {
            let at = |detail: Detail| Error::Setting(detail.within("constraint"));
            if let Some(value) = store.value_mut(*id) {
                constraint
                    .get()
                    .and_then(|it| it.constrain(value))
                    .map_err(at)?;
            }
        }
        for &(id, output) in &steps.updates {
            if let Some(value) = store.value_mut(id) {
                value.as_mut_slice().copy_from_slice(steps.output(output));
            }
        }
        Ok(loss)
    }
}

struct Logs {
    values: Vec<(String, f64)>,
    stop: bool,
}

fn training_steps(model: &LayersModel, training: &Training, data: &Dataset<'_>) -> Result<Steps> {
    let purpose = Purpose::Train {
        loss: &training.loss,
        weighted: data.weights.is_some(),
    };
    Steps::new(model, purpose, true)
}

/// Runs the frozen prefix over all samples, if that saves anything and fits.
pub(crate) fn keep_features(
    steps: &mut Steps,
    model: &LayersModel,
    data: &Dataset<'_>,
    cache: FeatureCache,
    epochs: usize,
) -> Result<Option<Features>> {
    let samples = data.targets.len();
    let fits = steps.feature_bytes().saturating_mul(samples) <= cache.limit();
    if steps.prefix().is_none() || !fits || epochs == 0 {
        return Ok(None);
    }
    steps.features(&data.inputs, model.weights()).map(Some)
}

fn prepare_optimizer(model: &LayersModel, training: &mut Training, steps: &Steps) -> Result<Plan> {
    let infos: Vec<ParameterInfo> = steps
        .gradients
        .iter()
        .filter_map(|(id, _)| model.weights().get(*id))
        .map(|weight| ParameterInfo::new(weight.path(), weight.value().shape()))
        .collect();
    Ok(training.optimizer.prepare(&infos)?)
}

fn constraints(model: &LayersModel, steps: &Steps) -> Vec<(VariableId, Constraint)> {
    steps
        .gradients
        .iter()
        .filter_map(|(id, _)| {
            let constraint = model.weights().get(*id)?.spec().constraint.clone()?;
            Some((*id, constraint))
        })
        .collect()
}

/// Tells the metrics of the batch that the steps ran on.
pub(crate) fn update_metrics(training: &mut Training, steps: &Steps, rows: Rows<'_>) -> Result<()> {
    let Training {
        metrics,
        weighted_metrics,
        ..
    } = training;
    let mut batch = metrics::Batch {
        targets: rows.metric_targets(),
        predictions: steps.output(steps.predictions),
        shape: steps.rest().output_shape(steps.predictions),
        sample_weights: None,
    };
    for metric in metrics.iter_mut() {
        metric.update(&batch)?;
    }
    batch.sample_weights = rows.weights;
    for metric in weighted_metrics.iter_mut() {
        metric.update(&batch)?;
    }
    Ok(())
}

/// Lends the optimizer each trained parameter with its gradient.
struct Source<'a> {
    store: &'a mut WeightStore,
    steps: &'a Steps,
}

impl<'a> Source<'a> {
    fn new(store: &'a mut WeightStore, steps: &'a Steps) -> Self {
        Source { store, steps }
    }
}

impl ParameterSource for Source<'_> {
    fn count(&self) -> usize {
        self.steps.gradients.len()
    }

    fn parameter(&mut self, index: usize) -> ParameterUpdate<'_> {
        let (id, output) = self.steps.gradients[index];
        ParameterUpdate {
            value: self
                .store
                .value_mut(id)
                .map(|value| value.as_mut_slice())
                .unwrap_or_default(),
            gradient: self.steps.output(output),
        }
    }
}

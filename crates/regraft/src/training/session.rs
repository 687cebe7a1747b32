//! One `fit` under way: the epochs, the steps, and what is told to callbacks in between.

use regraft_autograd::Run;
use regraft_layers::{Mode, Model as Network, WeightKind};
use regraft_tensor::Detail;

use crate::training::batches::KeptFeatures;
use crate::training::callbacks::{Callbacks, Context, Moment, Seen};
use crate::training::compiled::{Training, not_compiled};
use crate::training::evaluate::Evaluation;
use crate::training::feature_cache::keep_features;
use crate::training::frozen_precision::Calibrated;
use crate::training::history::Params;
use crate::training::options::Fit;
use crate::training::prepare;
use crate::training::progress::Progress;
use crate::training::read_ahead::{ReadAhead, Taken};
use crate::training::samples::{Samples, epoch_key, epoch_order};
use crate::training::scores::Scores;
use crate::training::steps::{Purpose, Steps};
use crate::training::totals::Totals;
use crate::training::update::Update;
use crate::{Error, History, Model, Result};

/// One `fit` under way.
pub(crate) struct Session<'s, 'd> {
    model: &'s mut Model,
    data: Samples<'d>,
    validation: Option<(Samples<'d>, Evaluation<'d>)>,
    steps: Steps,
    update: Update,
    features: Option<KeptFeatures<'d>>,
    batches: ReadAhead,
    /// Of the model and of what it was compiled with, when the programs were made.
    made_of: MadeOf,
}

impl<'s, 'd> Session<'s, 'd> {
    pub fn new(
        model: &'s mut Model,
        data: Samples<'d>,
        validation: Option<Samples<'d>>,
        options: &Fit<'d>,
    ) -> Result<Self> {
        let Model {
            network,
            training,
            kept,
            precision,
            ..
        } = &mut *model;
        kept.forget();
        let training = training.as_mut().ok_or_else(not_compiled)?;
        let of = (&*network, precision.as_deref());
        let made_of = made_of(of, training);
        let mut steps = training_steps(of, training, &data, options)?;
        require_training(network, &steps)?;
        let epochs = options.epochs - options.initial_epoch;
        let (cache, store) = (options.feature_cache, options.feature_store);
        let features = keep_features(&mut steps, network, &data, cache, epochs, store)?;
        let update = Update::new(network, &mut training.optimizer, &steps, &options.rates)?;
        let validation = match validation {
            Some(data) => {
                let evaluation = Evaluation::new(of, training, &data, cache, epochs, store)?;
                Some((data, evaluation))
            }
            None => None,
        };
        Ok(Session {
            batches: ReadAhead::new(steps.feed_plan(features.is_some()), &data),
            made_of,
            model,
            data,
            validation,
            steps,
            update,
            features,
        })
    }

    /// What the model was compiled with, looked at anew whenever a callback has had the model.
    fn training(&mut self) -> &mut Training {
        let training = self.model.training.as_mut();
        training.expect("a model that is trained is compiled")
    }

    /// What callbacks see.
    fn context(&mut self, options: &Fit<'_>) -> Context<'_> {
        let steps = self.data.len().div_ceil(options.batch_size);
        Context::new(self.model, options.into(), self.validation.is_some(), steps)
    }

    /// Compiles everything anew if a callback has changed the layers, what is frozen, or how the model is
    /// compiled. The data are checked once more if they are `needed`.
    fn refresh(&mut self, options: &Fit<'d>, epochs_left: usize, needed: bool) -> Result<()> {
        let Model {
            network,
            training,
            precision,
            ..
        } = &mut *self.model;
        let training = training.as_mut().ok_or_else(not_compiled)?;
        let of = (&*network, precision.as_deref());
        let made_of = made_of(of, training);
        if self.made_of == made_of {
            return Ok(());
        }
        self.made_of = made_of;
        training.fit_to(network)?;
        training.check_optimizer()?;
        if needed {
            prepare::again("data", network, &training.objective, &mut self.data)?;
            if let Some((data, _)) = &mut self.validation {
                prepare::again("validation", network, &training.objective, data)?;
            }
        }
        self.steps = training_steps(of, training, &self.data, options)?;
        if epochs_left > 0 {
            require_training(network, &self.steps)?;
        }
        let (cache, store) = (options.feature_cache, options.feature_store);
        let (steps, data) = (&mut self.steps, &self.data);
        self.features = keep_features(steps, network, data, cache, epochs_left, store)?;
        self.update = Update::new(
            network,
            &mut training.optimizer,
            &self.steps,
            &options.rates,
        )?;
        self.batches = ReadAhead::new(self.steps.feed_plan(self.features.is_some()), &self.data);
        if let Some((data, evaluation)) = &mut self.validation {
            *evaluation = Evaluation::new(of, training, data, cache, epochs_left, store)?;
        }
        Ok(())
    }

    pub fn train(&mut self, options: &mut Fit<'d>) -> Result<History> {
        let steps_per_epoch = self.data.len().div_ceil(options.batch_size);
        let mut callbacks = Callbacks::new(std::mem::take(&mut options.callbacks));
        let mut history = History::new(Params {
            epochs: options.epochs,
            steps: steps_per_epoch,
        });
        let mut progress = Progress::new(options.verbosity, options.epochs, steps_per_epoch);
        let mut context = self.context(options);
        callbacks.tell(Moment::TrainBegin, &mut context, &mut history)?;
        let (mut epoch, mut stop) = (context.next_epoch(), context.stops());
        while epoch < options.epochs && !stop {
            let mut context = self.context(options);
            callbacks.tell(Moment::EpochBegin(epoch), &mut context, &mut history)?;
            let stops = context.stops();
            self.refresh(options, options.epochs - epoch, true)?;
            progress.begin_epoch(epoch);
            let mut told = Told {
                callbacks: &mut callbacks,
                history: &mut history,
                progress: &mut progress,
            };
            let (scores, stopped) = self.epoch(options, epoch, &mut told)?;
            stop = stopped || stops;
            let mut values = vec![("loss".to_string(), scores.loss)];
            values.extend(scores.metrics);
            if let Some((data, evaluation)) = &mut self.validation {
                let Model {
                    network, training, ..
                } = &mut *self.model;
                let training = training.as_mut().ok_or_else(not_compiled)?;
                let scores = evaluation.run(network, training, data, options.batch_size)?;
                values.push(("val_loss".to_string(), scores.loss));
                let metrics = scores.metrics.into_iter();
                values.extend(metrics.map(|(name, value)| (format!("val_{name}"), value)));
            }
            let rate = f64::from(self.training().optimizer.learning_rate());
            let named = values.iter().map(|(name, value)| (name.as_str(), *value));
            let shown: Vec<(&str, f64)> = named.chain([("learning_rate", rate)]).collect();
            progress.end_epoch(&shown);
            history.push_epoch(epoch, values);
            let mut context = self.context(options);
            if stop {
                context.stop();
            }
            callbacks.tell(Moment::EpochEnd(epoch), &mut context, &mut history)?;
            stop |= context.stops();
            epoch += 1;
        }
        self.refresh(options, 0, false)?;
        let Model {
            network, training, ..
        } = &mut *self.model;
        let training = training.as_mut().ok_or_else(not_compiled)?;
        let (trained, optimizer) = (&self.steps.trained, &mut training.optimizer);
        self.update
            .renew(network, optimizer, &self.steps, &options.rates)?;
        let weights = network.trained_weights(trained)?;
        self.update.finalize(weights, optimizer, &self.steps)?;
        let mut context = self.context(options);
        callbacks.tell(Moment::TrainEnd, &mut context, &mut history)?;
        Ok(history)
    }

    /// One epoch of steps. Returns what it came to, and whether training shall stop.
    fn epoch(
        &mut self,
        options: &Fit<'d>,
        epoch: usize,
        told: &mut Told<'_, '_>,
    ) -> Result<(Scores, bool)> {
        let samples = self.data.len();
        let order = options
            .shuffle
            .then(|| epoch_order(samples, options.seed, epoch));
        let mut totals = Totals::begin(self.training());
        let mut stop = false;
        for step in 0..samples.div_ceil(options.batch_size) {
            stop = self.step(options, (epoch, step), order.as_deref(), &mut totals, told)?;
            if stop {
                break;
            }
        }
        Ok((totals.scores(self.training()), stop))
    }

    /// One step: the programs, the metrics, the state, the optimizer, constraints, and who is told of it.
    /// Returns whether training shall stop.
    fn step(
        &mut self,
        options: &Fit<'d>,
        (epoch, step): (usize, usize),
        order: Option<&[u32]>,
        totals: &mut Totals,
        told: &mut Told<'_, '_>,
    ) -> Result<bool> {
        let Session {
            model,
            data,
            steps,
            features,
            batches,
            update,
            validation,
            ..
        } = self;
        let data = &*data;
        let steps_per_epoch = data.len().div_ceil(options.batch_size);
        // A step's random numbers depend on its place in training alone, so that resumed
        // training draws the same.
        let run = Run {
            seed: options.seed,
            step: (epoch * steps_per_epoch + step) as u64,
        };
        let range = |step: usize| {
            let from = step * options.batch_size;
            (from, (from + options.batch_size).min(data.len()))
        };
        // What a callback does to the data is seen by the next batch.
        let reads_ahead = step + 1 < steps_per_epoch && !told.callbacks.wants_batches();
        let (from, to) = range(step);
        let taken = Taken {
            order,
            range: (from, to),
            next: reads_ahead.then(|| range(step + 1)),
            key: epoch_key(options.seed, epoch),
        };
        let stop = batches.batch(data, features.as_ref(), taken, |batch, truth| {
            let Model {
                network, training, ..
            } = &mut **model;
            let training = training.as_mut().ok_or_else(not_compiled)?;
            steps.run(batch, network.weights(), run)?;
            totals.add(steps, truth, to - from)?;
            update.renew(network, &mut training.optimizer, steps, &options.rates)?;
            let weights = network.trained_weights(&steps.trained)?;
            update.apply(weights, &mut training.optimizer, &*steps)?;
            told.progress.step(|| {
                let rate = f64::from(training.optimizer.learning_rate());
                std::iter::once(("loss", totals.loss()))
                    .chain(totals.metrics())
                    .chain([("learning_rate", rate)])
                    .collect()
            });
            if !told.callbacks.wants_batches() {
                return Ok(None);
            }
            totals.show(training);
            let mut context =
                Context::new(model, options.into(), validation.is_some(), steps_per_epoch);
            context.loss = totals.loss();
            context.seen = Some(Seen { steps, truth });
            let moment = Moment::BatchEnd(epoch, step);
            told.callbacks.tell(moment, &mut context, told.history)?;
            Ok(Some(context.stops()))
        })?;
        let Some(stop) = stop else {
            return Ok(false);
        };
        let epochs_left = if stop { 0 } else { options.epochs - epoch };
        self.refresh(options, epochs_left, true)?;
        Ok(stop)
    }
}

/// Who is told of training.
struct Told<'t, 'c> {
    callbacks: &'t mut Callbacks<'c>,
    history: &'t mut History,
    progress: &'t mut Progress,
}

/// A network, and with what numbers its frozen layers are computed, if not with 32-bit floats.
type Of<'m> = (&'m Network, Option<&'m Calibrated>);

/// The numbers of all that a program is made of: the network, its training, its precision.
type MadeOf = (u64, u64, Option<u64>);

fn made_of((network, precision): Of<'_>, training: &Training) -> MadeOf {
    let precision = precision.map(|precision| precision.number);
    (network.revision(), training.number, precision)
}

fn training_steps(
    (model, precision): Of<'_>,
    training: &Training,
    data: &Samples<'_>,
    options: &Fit<'_>,
) -> Result<Steps> {
    let purpose = Purpose {
        objective: &training.objective,
        weights: &data.weight_shapes(),
        taught: data.taught.as_deref(),
        mode: Mode::Training,
        precision,
    };
    let mut steps = Steps::new(model, purpose, true)?;
    if let Some(limit) = options.memory_limit {
        steps.limit_memory(options.batch_size.min(data.len()), limit)?;
    }
    Ok(steps)
}

/// Refuses to train nothing: no parameter that a gradient reaches, and no state that moves.
pub(crate) fn require_training(model: &Network, steps: &Steps) -> Result<()> {
    if !steps.gradients().is_empty() || steps.updates().len() > 0 {
        return Ok(());
    }
    let with_parameters = |trained: bool| -> Vec<String> {
        let places = model.places().into_iter();
        let of_kind = places.filter(|place| {
            let weights = place
                .all_weights()
                .filter_map(|&id| model.weights().get(id));
            let mut parameters = weights.filter(|it| it.kind() == WeightKind::Parameter);
            parameters.any(|weight| place.moves(weight) == trained)
        });
        of_kind.map(|place| place.path).collect()
    };
    let (trained, frozen) = (with_parameters(true), with_parameters(false));
    let expected = "a model of which something is trained";
    Err(Error::Model(
        match (trained.is_empty(), frozen.is_empty()) {
            (true, true) => Detail::new(model.name(), expected, "one without parameters")
                .help("`evaluate` and `predict` need no training"),
            (true, false) => {
                let received = format!("all layers frozen: {}", named(&frozen));
                let last = frozen.last().map_or("", String::as_str);
                Detail::new(model.name(), expected, received).help(format!(
                    "unfreeze what shall be trained: `unfreeze({last:?})`"
                ))
            }
            (false, _) => {
                let stops = match steps.stopped_at.is_empty() {
                    true => "the loss does not depend on them".to_string(),
                    false => format!("gradients stop at {}", named(&steps.stopped_at)),
                };
                let received = format!("no gradient that reaches {}: {stops}", named(&trained));
                Detail::new(model.name(), expected, received)
                    .help("let the loss depend on them through ops that have a gradient")
            }
        },
    ))
}

/// A list to be read: the first and the last of many.
fn named(names: &[String]) -> String {
    match names {
        [first, second, .., last] if names.len() > 4 => {
            format!("{first}, {second} … {last} ({} in all)", names.len())
        }
        names => names.join(", "),
    }
}

//! One `fit` under way: the epochs, the steps, and what is told to callbacks in between.

use std::collections::HashSet;

use regraft_autograd::{Run, VariableId};
use regraft_layers::{Model as Network, TrainedWeights, WeightKind};
use regraft_optimizers::{ParameterInfo, ParameterSource, ParameterUpdate, Plan};
use regraft_tensor::Detail;

use crate::training::batches::{Batcher, Dataset, epoch_order};
use crate::training::callbacks::{Callbacks, Context, Moment};
use crate::training::compile::{Training, not_compiled};
use crate::training::evaluate::{Evaluation, update_metrics};
use crate::training::feature_cache::keep_features;
use crate::training::fit::Fit;
use crate::training::history::Params;
use crate::training::parameters::parameter;
use crate::training::progress::Progress;
use crate::training::rates::Rates;
use crate::training::steps::{Features, Purpose, Steps};
use crate::{Error, History, Model, Result};

/// One `fit` under way.
pub(crate) struct Session<'s, 'd> {
    model: &'s mut Model,
    data: &'s Dataset<'d>,
    validation: Option<(&'s Dataset<'d>, Evaluation)>,
    steps: Steps,
    plan: Plan,
    constraints: Vec<VariableId>,
    features: Option<Features>,
    batcher: Batcher,
    /// Of the model and of what it was compiled with, when the programs were made.
    made_of: (u64, u64),
}

impl<'s, 'd> Session<'s, 'd> {
    pub fn new(
        model: &'s mut Model,
        data: &'s Dataset<'d>,
        validation: Option<&'s Dataset<'d>>,
        options: &Fit<'_>,
    ) -> Result<Self> {
        let Model {
            network,
            training,
            kept,
            ..
        } = &mut *model;
        kept.forget();
        let training = training.as_mut().ok_or_else(not_compiled)?;
        let mut steps = training_steps(network, training, data)?;
        require_training(network, &steps)?;
        let epochs = options.epochs - options.initial_epoch;
        let features = keep_features(&mut steps, network, data, options.feature_cache, epochs)?;
        let plan = prepare_optimizer(network, training, &steps, &options.rates)?;
        let validation = match validation {
            Some(data) => {
                let cache = options.feature_cache;
                Some((
                    data,
                    Evaluation::new(network, training, data, cache, epochs)?,
                ))
            }
            None => None,
        };
        Ok(Session {
            batcher: Batcher::new(steps.feed_plan(features.is_some())),
            constraints: constraints(network, &steps),
            made_of: (network.revision(), training.number),
            model,
            data,
            validation,
            steps,
            plan,
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
        Context::new(self.model, self.validation.is_some(), steps, options)
    }

    /// Compiles everything anew if a callback has changed the layers, what is frozen, or how the model is
    /// compiled.
    fn refresh(&mut self, options: &Fit<'_>, epochs_left: usize) -> Result<()> {
        let Model {
            network, training, ..
        } = &mut *self.model;
        let training = training.as_mut().ok_or_else(not_compiled)?;
        let made_of = (network.revision(), training.number);
        if self.made_of == made_of {
            return Ok(());
        }
        self.made_of = made_of;
        training.fit_to(network)?;
        training.check_optimizer()?;
        self.steps = training_steps(network, training, self.data)?;
        if epochs_left > 0 {
            require_training(network, &self.steps)?;
        }
        let cache = options.feature_cache;
        self.features = keep_features(&mut self.steps, network, self.data, cache, epochs_left)?;
        self.plan = prepare_optimizer(network, training, &self.steps, &options.rates)?;
        self.constraints = constraints(network, &self.steps);
        self.batcher = Batcher::new(self.steps.feed_plan(self.features.is_some()));
        if let Some((data, evaluation)) = &mut self.validation {
            *evaluation = Evaluation::new(network, training, data, cache, epochs_left)?;
        }
        Ok(())
    }

    pub fn train(&mut self, options: &mut Fit<'_>) -> Result<History> {
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
            self.refresh(options, options.epochs - epoch)?;
            progress.begin_epoch(epoch);
            let mut logs =
                self.epoch(options, epoch, &mut callbacks, &mut history, &mut progress)?;
            stop = logs.stop || stops;
            if let Some((data, evaluation)) = &mut self.validation {
                let Model {
                    network, training, ..
                } = &mut *self.model;
                let training = training.as_mut().ok_or_else(not_compiled)?;
                let scores = evaluation.run(network, training, data, options.batch_size)?;
                logs.values.push(("val_loss".to_string(), scores.loss));
                let metrics = scores.metrics.into_iter();
                logs.values
                    .extend(metrics.map(|(name, value)| (format!("val_{name}"), value)));
            }
            let rate = f64::from(self.training().optimizer.learning_rate());
            let values = logs
                .values
                .iter()
                .map(|(name, value)| (name.as_str(), *value));
            let shown: Vec<(&str, f64)> = values.chain([("learning_rate", rate)]).collect();
            progress.end_epoch(&shown);
            history.push_epoch(epoch, logs.values);
            let mut context = self.context(options);
            if stop {
                context.stop();
            }
            callbacks.tell(Moment::EpochEnd(epoch), &mut context, &mut history)?;
            stop |= context.stops();
            epoch += 1;
        }
        self.refresh(options, 0)?;
        let Model {
            network, training, ..
        } = &mut *self.model;
        let training = training.as_mut().ok_or_else(not_compiled)?;
        let mut source = Source {
            weights: network.trained_weights(&self.steps.trained)?,
            steps: &self.steps,
        };
        training.optimizer.finalize(&self.plan, &mut source)?;
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
        progress: &mut Progress,
    ) -> Result<Logs> {
        let samples = self.data.len();
        let members = self.data.members.as_deref();
        let shuffled = options
            .shuffle
            .then(|| epoch_order(members, samples, options.seed, epoch));
        let order = shuffled.as_deref().or(members);
        let training = self.training();
        let mut losses = vec![0.0; training.output_names.len()];
        training.metrics.reset();
        training.weighted_metrics.reset();
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
            for (sum, loss) in losses.iter_mut().zip(self.steps.loss_values()) {
                *sum += f64::from(loss) * count as f64;
            }
            seen += count;
            progress.step(|| {
                let training = self.training();
                let rate = f64::from(training.optimizer.learning_rate());
                let metrics = training.metrics.iter();
                std::iter::once(("loss", loss / seen as f64))
                    .chain(metrics.map(|metric| (metric.name(), metric.result())))
                    .chain([("learning_rate", rate)])
                    .collect()
            });
            if callbacks.wants_batches() {
                let mut context = self.context(options);
                context.loss = loss / seen as f64;
                callbacks.tell(Moment::BatchEnd(epoch, step), &mut context, history)?;
                stop = context.stops();
                let epochs_left = if stop { 0 } else { options.epochs - epoch };
                self.refresh(options, epochs_left)?;
                if stop {
                    break;
                }
            }
        }
        let mean = |sum: f64| sum / seen.max(1) as f64;
        let mut values = vec![("loss".to_string(), mean(loss))];
        let results = self.model.metrics().map(|metric| metric.result());
        let results = losses.into_iter().map(mean).chain(results);
        let names = self.model.training.iter().flat_map(Training::value_names);
        values.extend(names.zip(results));
        Ok(Logs { values, stop })
    }

    /// One step: the programs, the metrics, the optimizer, constraints, state. Returns the loss.
    fn step(&mut self, order: Option<&[u32]>, range: (usize, usize), run: Run) -> Result<f64> {
        let Session {
            model,
            data,
            steps,
            features,
            batcher,
            ..
        } = self;
        let Model {
            network, training, ..
        } = &mut **model;
        let training = training.as_mut().ok_or_else(not_compiled)?;
        let (batch, rows) = batcher.batch(data, features.as_ref(), order, range);
        steps.run(&batch, network.weights(), run)?;
        update_metrics(training, steps, &rows)?;
        let loss = f64::from(steps.loss_value());
        let mut weights = network.trained_weights(&steps.trained)?;
        for &(id, output) in &steps.updates {
            let value = weights.values_mut(id).expect("what is updated is written");
            value.copy_from_slice(steps.output(output));
        }
        let mut source = Source { weights, steps };
        if !self.plan.is_empty() {
            training.optimizer.apply(&self.plan, &mut source)?;
        }
        let mut weights = source.weights;
        for &id in &self.constraints {
            let at = |detail: Detail| Error::Setting(detail.within("constraint"));
            weights.constrain(id).map_err(at)?;
        }
        Ok(loss)
    }
}

struct Logs {
    values: Vec<(String, f64)>,
    stop: bool,
}

fn training_steps(model: &Network, training: &Training, data: &Dataset<'_>) -> Result<Steps> {
    let purpose = Purpose::Train {
        objective: &training.objective,
        weighted: data.weights.is_some(),
    };
    Steps::new(model, purpose, true)
}

fn prepare_optimizer(
    model: &Network,
    training: &mut Training,
    steps: &Steps,
    rates: &Rates,
) -> Result<Plan> {
    let weights = model.weights();
    let known: HashSet<u64> = weights.iter().map(|it| parameter(it).id).collect();
    // The memory of weights that are gone, such as those of an old head, is of no use to others.
    for gone in training.optimizer.parameters() {
        if !known.contains(&gone.id) {
            training.optimizer.forget(&gone.path);
        }
    }
    let described = rates.of(model)?;
    let trained = steps.gradients.iter();
    let infos: Vec<ParameterInfo> = trained
        .filter_map(|(id, _)| weights.get(*id).map(&described))
        .collect();
    Ok(training.optimizer.prepare(&infos)?)
}

/// The trained weights that have a constraint.
fn constraints(model: &Network, steps: &Steps) -> Vec<VariableId> {
    let trained = steps.gradients.iter().map(|(id, _)| *id);
    let constrained = |id: &VariableId| {
        let weight = model.weights().get(*id);
        weight.is_some_and(|weight| weight.spec().constraint.is_some())
    };
    trained.filter(constrained).collect()
}

/// Refuses to train nothing: no parameter that a gradient reaches, and no state that moves.
fn require_training(model: &Network, steps: &Steps) -> Result<()> {
    if !steps.gradients.is_empty() || !steps.updates.is_empty() {
        return Ok(());
    }
    let with_parameters = |trained: bool| -> Vec<String> {
        let places = model.places().into_iter();
        let of_kind = places.filter(|place| {
            let weights = place
                .weights
                .iter()
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

/// Lends the optimizer each trained parameter with its gradient.
struct Source<'a> {
    weights: TrainedWeights<'a>,
    steps: &'a Steps,
}

impl ParameterSource for Source<'_> {
    fn count(&self) -> usize {
        self.steps.gradients.len()
    }

    fn parameter(&mut self, index: usize) -> ParameterUpdate<'_> {
        let (id, output) = self.steps.gradients[index];
        ParameterUpdate {
            value: self
                .weights
                .values_mut(id)
                .expect("a parameter with a gradient is trained"),
            gradient: self.steps.output(output),
        }
    }
}

//! A loop of one's own: [`Model::train_step`] compiles one step, whose loss is written with the values of the
//! model, and [`TrainStep`] runs it.

mod builder;
mod gradients;
mod kept;
mod step_data;

use std::fmt;

use regraft_autograd::{Graph, Run, Var};
use regraft_layers::{Model as Network, TrainedWeights, WeightStore};
use regraft_optimizers::{IntoOptimizer, Optimizer};
use regraft_tensor::{Detail, Tensor};

pub use self::builder::StepBuilder;
pub use self::gradients::{Gradients, Values};
pub use self::kept::{Kept, KeptBatch};
pub use self::step_data::IntoStepData;

use self::step_data::{Fed, StepData, require_finite};
use crate::training::arrays::Arrays;
use crate::training::batches::{Features, KeptFeatures};
use crate::training::feature_cache::{FeatureCache, keep_features};
use crate::training::input::IntoInputs;
use crate::training::inputs::Inputs;
use crate::training::number::next_number;
use crate::training::rates::Rates;
use crate::training::scores::Scores;
use crate::training::session::require_training;
use crate::training::steps::Steps;
use crate::training::update::Update;
use crate::{Error, Model, Result};

/// One step of training, compiled: what [`Model::train_step`] makes. It has the program, its buffers and the
/// optimizer, and borrows nothing.
///
/// What is frozen is a constant of it, and it writes what it trains and the states that move, nothing else. It
/// belongs to the model that it was made of as that was then: after freezing, surgery, or values that were set
/// it is refused, and to be made again.
pub struct TrainStep {
    steps: Steps,
    update: Update,
    optimizer: Optimizer,
    /// Of the model.
    inputs: Inputs,
    fed: Fed,
    reports: Vec<String>,
    /// Revision and name of the models that are read at each run.
    live: Vec<(u64, String)>,
    rates: Rates,
    revision: u64,
    /// What tells it from other steps.
    number: u64,
    seed: u64,
    count: u64,
}

impl Model {
    /// Compiles a step of a training loop of one's own: `write` gives its loss, written with what the
    /// [`StepBuilder`] offers, and the step moves the weights that are trainable now.
    ///
    /// Regularizers and other penalties of the model are added to the loss. For the same loss on the same
    /// batches, a loop gives the weights that [`fit`](Self::fit) gives, bit for bit.
    ///
    /// ```
    /// use regraft::prelude::*;
    ///
    /// let layers = || layers![Input::new([4]), Dense::new(8).activation("relu"), Dense::new(3)];
    /// let (teacher, mut student) = (Sequential::new(layers())?, Sequential::new(layers())?);
    /// // The student learns the teacher's answers beside the labels.
    /// let mut step = student.train_step(Adam::new(1e-2), |step| {
    ///     let (x, y) = (step.input(0), step.feed_classes("y", &[]));
    ///     let (own, soft) = (step.output(0), step.frozen(&teacher, &[x])?[0]);
    ///     let hard = step.loss(SparseCategoricalCrossentropy::from_logits(), y, own);
    ///     Ok(hard + step.loss("mse", soft, own))
    /// })?;
    /// let (x, y) = (Array2::<f32>::ones((6, 4)), [0, 1, 2, 0, 1, 2]);
    /// for _ in 0..3 {
    ///     let scores = step.run(&mut student, (&x, &y))?;
    ///     assert!(scores.loss.is_finite());
    /// }
    /// # Ok::<(), regraft::Error>(())
    /// ```
    ///
    /// # Errors
    /// A model without shapes; a wrong setting of the optimizer; what is wrong in the formulas, with its
    /// place; and a step that could change nothing, since all is frozen or no gradient reaches what is not.
    pub fn train_step(
        &self,
        optimizer: impl IntoOptimizer,
        write: impl for<'g> FnOnce(&mut StepBuilder<'g>) -> Result<Var<'g>>,
    ) -> Result<TrainStep> {
        let network = &self.network;
        let inputs = Inputs::of(network)?;
        let mut optimizer = optimizer.into_optimizer()?;
        let graph = Graph::new();
        let (vars, precision) = (inputs.in_graph(&graph), self.precision.as_deref());
        let mut builder = StepBuilder::new(&graph, network, vars, precision);
        let loss = write(&mut builder)?;
        let written = builder.finish(loss)?;
        let steps = written.steps;
        require_training(network, &steps)?;
        Ok(TrainStep {
            update: Update::new(network, &mut optimizer, &steps, &written.rates)?,
            steps,
            optimizer,
            inputs,
            fed: written.fed,
            reports: written.reports,
            live: written.live,
            rates: written.rates,
            revision: network.revision(),
            number: next_number(),
            seed: 0,
            count: 0,
        })
    }
}

impl TrainStep {
    /// Where its random numbers start; 0 unless told otherwise. They depend on it and on
    /// [`count`](Self::count), as in `fit`.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Moves the weights once for `steps` runs, by the mean of their gradients.
    ///
    /// # Errors
    /// 0, or an optimizer that has made steps already.
    pub fn accumulate(mut self, steps: u64) -> Result<Self> {
        self.optimizer.set_gradient_accumulation_steps(steps)?;
        Ok(self)
    }

    /// One step on a batch: the inputs of the model, if the step uses them, and then what it is fed besides,
    /// in the order in which it asked, or by name. The checks are those of `fit`.
    ///
    /// # Errors
    /// Data that do not fit, with the place; a model that is not the one that the step was made of, or has
    /// changed since.
    pub fn run<'a>(&mut self, model: &mut Model, data: impl IntoStepData<'a>) -> Result<Scores> {
        self.run_with(model, &[], data)
    }

    /// As [`run`](Self::run), with the models that the step reads [live](StepBuilder::live), in any order.
    ///
    /// # Errors
    /// As [`run`](Self::run), and a live model that is missing or has changed.
    pub fn run_with<'a>(
        &mut self,
        model: &mut Model,
        live: &[&Model],
        data: impl IntoStepData<'a>,
    ) -> Result<Scores> {
        self.compute(&model.network, live, data.into_step_data()?)?;
        self.renew(&model.network)?;
        let weights = door(model, &self.steps)?;
        self.update
            .apply(weights, &mut self.optimizer, &self.steps)?;
        self.count += 1;
        Ok(self.scores())
    }

    /// The gradients on a batch, and the new values of states; nothing is moved. The random numbers are those of
    /// the [`run`](Self::run) that would come next.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn gradients<'a>(
        &mut self,
        model: &Model,
        data: impl IntoStepData<'a>,
    ) -> Result<Gradients> {
        self.gradients_with(model, &[], data)
    }

    /// As [`gradients`](Self::gradients), with the models that the step reads live.
    ///
    /// # Errors
    /// As [`run_with`](Self::run_with).
    pub fn gradients_with<'a>(
        &mut self,
        model: &Model,
        live: &[&Model],
        data: impl IntoStepData<'a>,
    ) -> Result<Gradients> {
        self.compute(&model.network, live, data.into_step_data()?)?;
        Gradients::of(&model.network, &self.steps, self.scores())
    }

    /// The rest of a step whose gradients were computed before, and changed perhaps: states get the values that
    /// were computed with them, the optimizer moves the weights. After [`gradients`](Self::gradients) this does
    /// what [`run`](Self::run) does, bit for bit. What a layer assigns to a parameter, a normalized kernel, is
    /// stored if the parameter still has the value of which it was computed.
    ///
    /// # Errors
    /// Gradients of other weights than those that this step trains; the model as in [`run`](Self::run).
    pub fn apply(&mut self, model: &mut Model, gradients: &Gradients) -> Result<()> {
        self.require_same(&model.network)?;
        gradients.require_of(&self.steps)?;
        self.renew(&model.network)?;
        let weights = door(model, &self.steps)?;
        self.update.apply(weights, &mut self.optimizer, gradients)?;
        self.count += 1;
        Ok(())
    }

    /// Adds `factor` times the gradients to the weights that this step trains, without the optimizer, and
    /// returns the values before, for [`restore`](Self::restore). A kernel that a layer normalizes in training
    /// is stored normalized before that, as a call in training stores it in Keras: the gradients are those of
    /// this value.
    ///
    /// # Errors
    /// As [`apply`](Self::apply), and a factor that is not finite.
    pub fn shift(
        &mut self,
        model: &mut Model,
        gradients: &Gradients,
        factor: f32,
    ) -> Result<Values> {
        self.require_same(&model.network)?;
        gradients.require_of(&self.steps)?;
        require_finite("factor", factor)?;
        gradients.assign(&mut door(model, &self.steps)?);
        let before = Values::of(&model.network, &self.steps);
        gradients.add_to(&mut door(model, &self.steps)?, factor);
        Ok(before)
    }

    /// Gives the weights that this step trains the values that a [`shift`](Self::shift) returned.
    ///
    /// # Errors
    /// Values of other weights; the model as in [`run`](Self::run).
    pub fn restore(&mut self, model: &mut Model, before: Values) -> Result<()> {
        self.require_same(&model.network)?;
        before.require_of(&self.steps)?;
        let mut weights = door(model, &self.steps)?;
        before.write(&mut weights);
        Ok(())
    }

    /// Computes what depends on the model's inputs and on constants alone, once for all samples: steps on
    /// [batches](Kept::batch) of it run the rest only, and give the same numbers, bit for bit.
    ///
    /// # Errors
    /// Data that do not fit the model; a step that does not use its inputs; the model as in
    /// [`run`](Self::run).
    pub fn keep<'d>(&mut self, model: &Model, inputs: impl IntoInputs<'d>) -> Result<Kept<'d>> {
        self.require_same(&model.network)?;
        if !self.fed.takes_inputs {
            let detail = Detail::new("keep", "a step that uses the model's inputs", "another");
            let help = "run it on the arrays that it is fed; there is nothing to keep";
            return Err(Error::Data(detail.help(help)));
        }
        let inputs = self.inputs.check("x", inputs.into_inputs()?)?;
        let all = Arrays {
            inputs: inputs.clone(),
            targets: Vec::new(),
        };
        let whole = FeatureCache::Limit(usize::MAX);
        let network = &model.network;
        let features = keep_features(&mut self.steps, network, &all.into(), whole, 1, None)?;
        let features = match features {
            Some(KeptFeatures::InMemory(features)) => features,
            _ => Features::default(),
        };
        Ok(Kept::new(self.number, &self.steps, features, inputs))
    }

    /// What was reported under `name` in the last run, as it was: a number or an array.
    pub fn report(&self, name: &str) -> Option<Tensor> {
        let index = self.reports.iter().position(|known| known == name)?;
        let (values, shape) = self.steps.report(index);
        Tensor::new(shape, values.to_vec()).ok()
    }

    /// Gives a [number](StepBuilder::number) of the step another value.
    ///
    /// # Errors
    /// A name that no number of the step has, and a value that is not finite.
    pub fn set(&mut self, name: &str, value: f32) -> Result<()> {
        self.fed.set(name, value)
    }

    /// The number of steps that have been made.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The optimizer, with its memory.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// The optimizer, to be changed (its learning rate, say); another in its place makes the steps from then
    /// on.
    pub fn optimizer_mut(&mut self) -> &mut Optimizer {
        &mut self.optimizer
    }

    /// The optimizer, with its memory, for a step that is made of the model after it has changed.
    pub fn into_optimizer(self) -> Optimizer {
        self.optimizer
    }

    /// After the last step: the moving averages of the weights take their place, if the optimizer keeps some.
    /// `fit` does so at its end.
    ///
    /// # Errors
    /// The model as in [`run`](Self::run).
    pub fn finish(&mut self, model: &mut Model) -> Result<()> {
        self.require_same(&model.network)?;
        self.renew(&model.network)?;
        let weights = door(model, &self.steps)?;
        self.update
            .finalize(weights, &mut self.optimizer, &self.steps)
    }

    /// Lets an optimizer that was put into the place of the one before go on.
    fn renew(&mut self, network: &Network) -> Result<()> {
        let (optimizer, rates) = (&mut self.optimizer, &self.rates);
        self.update.renew(network, optimizer, &self.steps, rates)
    }

    /// Runs the programs on a batch.
    fn compute(&mut self, network: &Network, live: &[&Model], data: StepData<'_>) -> Result<()> {
        self.require_same(network)?;
        self.require_live(live)?;
        let kept = data.kept.as_ref().map(|batch| batch.of.step);
        if kept.is_some_and(|step| step != self.number) {
            let detail = Detail::new("kept features", "those of this step", "another's");
            return Err(Error::Data(detail.help("call `keep` of this step")));
        }
        let checked = self.fed.check(&self.inputs, data)?;
        let run = Run {
            seed: self.seed,
            step: self.count,
        };
        let plan = self.steps.feed_plan(checked.kept.is_some());
        let mut buffers = vec![Vec::new(); plan.roles.len()];
        let batch = checked.batch(&self.fed, &plan, &mut buffers);
        if live.is_empty() {
            return self.steps.run(&batch, network.weights(), run);
        }
        let own = std::iter::once(network);
        let stores = own.chain(live.iter().map(|model| &model.network));
        let stores: Vec<&WeightStore> = stores.map(Network::weights).collect();
        self.steps.run(&batch, stores.as_slice(), run)
    }

    fn scores(&self) -> Scores {
        let reports = self.reports.iter().enumerate();
        let numbers = reports.filter_map(|(index, name)| match self.steps.report(index) {
            ([number], []) => Some((name.clone(), f64::from(*number))),
            _ => None,
        });
        Scores {
            loss: f64::from(self.steps.loss_value()),
            metrics: numbers.collect(),
        }
    }

    fn require_same(&self, network: &Network) -> Result<()> {
        if network.revision() == self.revision {
            return Ok(());
        }
        let expected = "the model that the step was made of, as it was then";
        let received = "another, or one whose layers, freezing or frozen values have changed";
        let detail = Detail::new(network.name(), expected, received);
        Err(Error::Model(detail.help(
            "make the step again with `train_step`; `into_optimizer` gives it the optimizer's memory",
        )))
    }

    fn require_live(&self, given: &[&Model]) -> Result<()> {
        let is_there = |revision: &u64| given.iter().any(|it| it.network.revision() == *revision);
        let missing = self.live.iter().find(|(revision, _)| !is_there(revision));
        if let Some((_, name)) = missing {
            let expected = "the model that is read live, as it was when the step was made";
            let detail = Detail::new(name, expected, "none, or one that has changed");
            let help = "pass it to `run_with`; if it has changed, make the step again";
            return Err(Error::Model(detail.help(help)));
        }
        if given.len() != self.live.len() {
            let expected = format!("{} models that are read live", self.live.len());
            let detail = Detail::new("live", expected, given.len());
            let help = "pass those that `live` was called with, each once";
            return Err(Error::Model(detail.help(help)));
        }
        Ok(())
    }
}

impl fmt::Debug for TrainStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrainStep")
            .field("optimizer", &self.optimizer.name())
            .field("trained", &self.steps.gradients().len())
            .field("seed", &self.seed)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// The one door to the values that a step writes.
fn door<'m>(model: &'m mut Model, steps: &'m Steps) -> Result<TrainedWeights<'m>> {
    model.kept.forget();
    Ok(model.network.trained_weights(&steps.trained)?)
}

/// What writing a step gave.
struct Written {
    steps: Steps,
    fed: Fed,
    reports: Vec<String>,
    live: Vec<(u64, String)>,
    rates: Rates,
}

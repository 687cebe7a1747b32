//! What a step does to the weights: states get their new values, the optimizer moves the parameters, and
//! constraints hold again. `fit` and loops of one's own do it here.

use std::collections::HashSet;

use regraft_autograd::VariableId;
use regraft_layers::{Model as Network, TrainedWeights};
use regraft_optimizers::{Optimizer, ParameterInfo, ParameterSource, ParameterUpdate, Plan};
use regraft_tensor::Detail;

use crate::training::parameters::parameter;
use crate::training::rates::Rates;
use crate::training::steps::Steps;
use crate::{Error, Result};

/// What a step has computed: a gradient for each trained parameter, and a new value for each state that
/// moves and each parameter that a layer assigns, in the order of [`Steps`].
pub(crate) trait Results {
    /// The number of gradients.
    fn count(&self) -> usize;

    /// A gradient, and of what.
    fn gradient(&self, index: usize) -> (VariableId, &[f32]);

    /// Stores the new values.
    fn store(&self, weights: &mut TrainedWeights<'_>);
}

/// Of the last run.
impl Results for Steps {
    fn count(&self) -> usize {
        self.gradients().len()
    }

    fn gradient(&self, index: usize) -> (VariableId, &[f32]) {
        self.gradient(index)
    }

    fn store(&self, weights: &mut TrainedWeights<'_>) {
        for (id, new) in self.updates() {
            let value = weights.values_mut(id).expect("what is updated is written");
            value.copy_from_slice(new);
        }
    }
}

/// What is looked up once, so that no step searches for anything.
#[derive(Debug)]
pub(crate) struct Update {
    plan: Plan,
    /// The trained weights that have a constraint.
    constraints: Vec<VariableId>,
}

impl Update {
    /// For the weights that `steps` has gradients of.
    pub fn new(
        network: &Network,
        optimizer: &mut Optimizer,
        steps: &Steps,
        rates: &Rates,
    ) -> Result<Self> {
        let weights = network.weights();
        let known: HashSet<u64> = weights.iter().map(|it| parameter(it).id).collect();
        // The memory of weights that are gone, such as those of an old head, is of no use to others.
        for gone in optimizer.parameters() {
            if !known.contains(&gone.id) {
                optimizer.forget(&gone.path);
            }
        }
        let described = rates.of(network)?;
        let trained = steps.gradients().iter();
        let trained = trained.filter_map(|(id, _)| weights.get(*id));
        let infos: Vec<ParameterInfo> = trained.clone().map(&described).collect();
        let constrained = trained.filter(|weight| weight.spec().constraint.is_some());
        Ok(Update {
            plan: optimizer.prepare(&infos)?,
            constraints: constrained.map(|weight| weight.id()).collect(),
        })
    }

    /// Made anew if it is not of `optimizer` as it is now: another was put in its place, say.
    pub fn renew(
        &mut self,
        network: &Network,
        optimizer: &mut Optimizer,
        steps: &Steps,
        rates: &Rates,
    ) -> Result<()> {
        if !optimizer.made(&self.plan) {
            *self = Update::new(network, optimizer, steps, rates)?;
        }
        Ok(())
    }

    /// Writes what a step computed; nothing of it if the optimizer cannot make the step.
    pub fn apply(
        &self,
        mut weights: TrainedWeights<'_>,
        optimizer: &mut Optimizer,
        results: &impl Results,
    ) -> Result<()> {
        optimizer.check_step(&self.plan)?;
        results.store(&mut weights);
        let mut source = Source { weights, results };
        if !self.plan.is_empty() {
            optimizer.apply(&self.plan, &mut source)?;
        }
        for &id in &self.constraints {
            let at = |detail: Detail| Error::Setting(detail.within("constraint"));
            source.weights.constrain(id).map_err(at)?;
        }
        Ok(())
    }

    /// After the last step: what the optimizer averaged takes the place of the values.
    pub fn finalize(
        &self,
        weights: TrainedWeights<'_>,
        optimizer: &mut Optimizer,
        results: &impl Results,
    ) -> Result<()> {
        let mut source = Source { weights, results };
        Ok(optimizer.finalize(&self.plan, &mut source)?)
    }
}

/// Lends the optimizer each trained parameter with its gradient.
struct Source<'a, R> {
    weights: TrainedWeights<'a>,
    results: &'a R,
}

impl<R: Results> ParameterSource for Source<'_, R> {
    fn count(&self) -> usize {
        self.results.count()
    }

    fn parameter(&mut self, index: usize) -> ParameterUpdate<'_> {
        let (id, gradient) = self.results.gradient(index);
        ParameterUpdate {
            value: self
                .weights
                .values_mut(id)
                .expect("a parameter with a gradient is trained"),
            gradient,
        }
    }
}

//! What writing a model into a graph gives besides its outputs.

use std::collections::{HashMap, HashSet};

use regraft_autograd::{Shape, Var, VariableId};

/// Whether a model is written into a graph to be trained or to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Trainable weights are variables, dropout drops, statistics move.
    Training,
    /// Nothing moves. Weights that could be trained are variables all the same, so that the program
    /// stays valid while they change; frozen ones are constants.
    Inference,
    /// Nothing moves, and all weights are constants, so that normalizations fold into the convolutions
    /// before them and kernels are packed: for a program that is run while the weights stay as they
    /// are.
    Constant,
}

/// What writing a model into a graph gave besides its outputs.
#[derive(Debug, Default)]
pub struct Emission<'g> {
    /// The parameters that are trained, in the model's order.
    pub trainable: Vec<(VariableId, Var<'g>)>,
    /// The new values of states, and of parameters that a layer assigns: to be stored after each training
    /// step, before the optimizer moves the parameters.
    pub updates: Vec<(VariableId, Var<'g>)>,
    /// Penalties (numbers) to be added to the loss.
    pub penalties: Vec<Var<'g>>,
    /// For each output of the model its mask, if it has one: 1 for steps that count, 0 for padding.
    pub masks: Vec<Option<Var<'g>>>,
    /// All that a step writes.
    pub(crate) moved: HashSet<VariableId>,
    /// Of the model.
    pub(crate) revision: u64,
    pub(crate) vars: HashMap<VariableId, Var<'g>>,
    /// Where among the penalties that of a parameter is.
    pub(crate) penalized: HashMap<VariableId, usize>,
    /// The first result of each layer, by its path.
    pub(crate) results: HashMap<String, Var<'g>>,
    /// The path of the graph around the model.
    pub(crate) around: String,
    /// Where kernels are multiplied, by the layers' own: the shapes of the input and of the result.
    pub(crate) products: HashMap<VariableId, (Shape, Shape)>,
}

impl Emission<'_> {
    /// For a model of this [`revision`](crate::Model::revision).
    pub(crate) fn of(revision: u64) -> Self {
        Emission {
            revision,
            ..Emission::default()
        }
    }
}

impl<'g> Emission<'g> {
    /// Gives a weight a new value. A layer that is called twice goes on from the first call's.
    pub(crate) fn set(&mut self, id: VariableId, value: Var<'g>) {
        self.vars.insert(id, value);
        self.updates.retain(|(updated, _)| *updated != id);
        self.updates.push((id, value));
    }

    /// Notes what the layer gave whose formula is written at `path` of the graph.
    pub(crate) fn note(&mut self, path: &str, result: Var<'g>) {
        let path = path.strip_prefix(&self.around).unwrap_or(path);
        let path = path.trim_start_matches('/').to_string();
        self.results.insert(path, result);
    }

    /// The (first) output of the layer at `path`, as it was used last; none if no formula has used it.
    pub fn value(&self, path: &str) -> Option<Var<'g>> {
        self.results.get(path).copied()
    }

    /// The value that stands for a weight in the graph: a variable, or a constant if it is frozen, and
    /// of a state that is updated its new value. None if no formula has asked for it.
    pub fn weight(&self, id: VariableId) -> Option<Var<'g>> {
        self.vars.get(&id).copied()
    }
}

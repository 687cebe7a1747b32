//! The door to a model's values while it is trained: it opens for what a program trains and updates, and
//! for nothing else.

use std::collections::HashSet;

use regraft_autograd::VariableId;
use regraft_tensor::Detail;

use crate::contract::weight::WeightStore;
use crate::{Emission, Error, Model, Result};

/// Which weights a program may change: those that were trained or updated when the model was written
/// into its graph. [`Emission::trained`] gives it.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Of the model then.
    pub(crate) revision: u64,
    pub(crate) ids: HashSet<VariableId>,
}

/// The weights of a model that a program trains and updates, to be written.
///
/// Frozen weights are not among them, and nothing else hands out values to be written without being
/// a change of the model ([`Model::revision`]): what is frozen is a constant of programs that are
/// compiled already.
#[derive(Debug)]
pub struct TrainedWeights<'m> {
    store: &'m mut WeightStore,
    ids: &'m HashSet<VariableId>,
}

impl Emission<'_> {
    /// Which weights a program made from this may change.
    pub fn trained(&self) -> Trained {
        Trained {
            revision: self.revision,
            ids: self.moved.clone(),
        }
    }
}

impl Model {
    /// The weights that a program of this model trains and updates, to be written after a step.
    ///
    /// # Errors
    /// [`Error::Model`] if the model is not the one that the program was written from, or has been
    /// changed since: layers, what is frozen, or values that were set.
    pub fn trained_weights<'m>(&'m mut self, trained: &'m Trained) -> Result<TrainedWeights<'m>> {
        self.require_revision(trained.revision)?;
        self.revision.opened();
        Ok(TrainedWeights {
            store: &mut self.store,
            ids: &trained.ids,
        })
    }

    /// Refuses what was written from another model, or from this one before it changed.
    pub(crate) fn require_revision(&self, revision: u64) -> Result<()> {
        if revision == self.revision() {
            return Ok(());
        }
        let expected = "the model that the program was written from, as it was then";
        let detail = Detail::new(&self.name, expected, "another, or one that has changed");
        let help = "write it into a graph again with `emit`";
        Err(Error::Model(detail.help(help)))
    }
}

impl Trained {
    /// The same without those for which `keep` says no.
    #[must_use]
    pub fn only(mut self, keep: impl Fn(VariableId) -> bool) -> Self {
        self.ids.retain(|&id| keep(id));
        self
    }
}

impl TrainedWeights<'_> {
    /// The elements of a weight, to be trained; `None` if it is not trained or updated.
    pub fn values_mut(&mut self, id: VariableId) -> Option<&mut [f32]> {
        let weight = self.ids.contains(&id).then(|| self.store.get_mut(id));
        weight.flatten().map(|weight| weight.value.as_mut_slice())
    }

    /// Applies the weight's constraint, if it has one and is trained.
    ///
    /// # Errors
    /// A constraint whose settings are wrong, or that does not fit the weight.
    pub fn constrain(&mut self, id: VariableId) -> Result<(), Detail> {
        let weight = self.ids.contains(&id).then(|| self.store.get_mut(id));
        let Some(weight) = weight.flatten() else {
            return Ok(());
        };
        match &weight.spec.constraint {
            Some(constraint) => constraint.get()?.constrain(&mut weight.value),
            None => Ok(()),
        }
    }
}

//! An adapter on a layer of a model.

use std::sync::Arc;

use regraft_autograd::VariableId;
use serde_json::{Map, Value};

use crate::Freezing;
use crate::adapters::{Adapter, Form, Role};
use crate::models::topology::Entry;

/// What an adapter has on one layer. Its weights are the layer's, behind its own, and found by their names.
#[derive(Clone, Debug)]
pub(crate) struct Attached {
    /// The adapter's name: `default`.
    pub name: String,
    /// What it was made with, and what goes with it from file to file.
    pub source: Arc<(Adapter, Map<String, Value>)>,
    pub active: bool,
    /// What it does to products, by the names of the weights that are multiplied.
    pub parts: Vec<(String, Form)>,
    /// The layer's own weights that it has copies of.
    pub replaced: Vec<String>,
    /// If it has the whole layer: the layer's state while the adapter is active or not, whichever is not now.
    pub whole: Option<Freezing>,
    /// How many weights it has here.
    pub count: usize,
}

impl Attached {
    pub fn owns(&self, weight: &str) -> bool {
        let name = weight.strip_prefix(self.name.as_str());
        name.is_some_and(|name| name.starts_with('/'))
    }

    /// Makes it active or not, and says whether it was not so before; `freezing` is the layer's state.
    pub fn activate(&mut self, active: bool, freezing: &mut Freezing) -> bool {
        let changes = self.active != active;
        self.active = active;
        if let (Some(other), true) = (&mut self.whole, changes) {
            std::mem::swap(other, freezing);
        }
        changes
    }
}

impl Entry {
    /// The weights that the layer itself declared.
    pub fn own_weights(&self) -> &[VariableId] {
        let of_adapters: usize = self.adapters.iter().map(|adapter| adapter.count).sum();
        &self.weights[..self.weights.len() - of_adapters]
    }

    /// Whether a weight of it is an adapter's.
    pub fn is_of_adapter(&self, weight: &str) -> bool {
        self.adapters.iter().any(|adapter| adapter.owns(weight))
    }

    /// The adapters that count now: what is merged is in the layer's own weights.
    pub fn active(&self) -> impl Iterator<Item = &Attached> {
        let merged = self.merged.is_some();
        let adapters = self.adapters.iter();
        adapters.filter(move |adapter| adapter.active && !merged)
    }

    /// What active adapters do to the product with `weight`, each with the adapter's name.
    pub fn parts<'e>(&'e self, weight: &'e str) -> impl Iterator<Item = (&'e str, Form)> {
        let parts = self.active().flat_map(|adapter| {
            let parts = adapter.parts.iter();
            parts.map(move |(kernel, form)| (adapter.name.as_str(), kernel, *form))
        });
        let parts = parts.filter(move |(_, kernel, _)| *kernel == weight);
        parts.map(|(adapter, _, form)| (adapter, form))
    }

    /// Whether an active adapter does anything to the product with `weight`.
    pub fn adapts(&self, weight: &str) -> bool {
        !self.adapters.is_empty() && self.parts(weight).next().is_some()
    }

    /// The name of the copy that stands for its own weight `name` now.
    pub fn replacement(&self, name: &str) -> Option<String> {
        let mut active = self.active();
        let adapter = active.find(|adapter| adapter.replaced.iter().any(|own| own == name))?;
        Some(format!("{}/{name}", adapter.name))
    }

    /// Whether a weight of it takes part in what is computed and trained: not those of adapters that are not
    /// active, nor what a copy stands for or adapters are merged into.
    pub fn uses(&self, name: &str) -> bool {
        if self.adapters.is_empty() {
            return true;
        }
        match self.adapters.iter().find(|adapter| adapter.owns(name)) {
            Some(adapter) => adapter.active && self.merged.is_none(),
            None => {
                let merged = self.merged.iter().flatten();
                self.replacement(name).is_none() && merged.clone().all(|(own, _)| own != name)
            }
        }
    }

    /// The names of factors of outputs, bias included, that count now.
    pub fn output_scales(&self) -> impl Iterator<Item = String> {
        self.active().flat_map(|adapter| {
            let scales = adapter.parts.iter();
            let scales = scales.filter(|(_, form)| *form == Form::OutputScale);
            scales.map(|(kernel, form)| form.name(&adapter.name, kernel, Role::Scale))
        })
    }
}

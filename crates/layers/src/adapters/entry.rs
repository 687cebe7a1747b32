//! What the adapters on a layer make of its weights: which are its own, which count now, and which stand for others.

use regraft_autograd::VariableId;

use crate::adapters::attached::Attached;
use crate::adapters::{Form, Role};
use crate::models::topology::Entry;

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

    /// Takes an adapter off it.
    pub fn remove_adapter(&mut self, name: &str, weight_name: impl Fn(VariableId) -> String) {
        let Some(position) = self
            .adapters
            .iter()
            .position(|adapter| adapter.name == name)
        else {
            return;
        };
        let adapter = self.adapters.remove(position);
        self.weights.retain(|&id| !adapter.owns(&weight_name(id)));
        self.alone.retain(|weight, _| !adapter.owns(weight));
    }
}

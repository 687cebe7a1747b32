//! An adapter on a layer of a model.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::Freezing;
use crate::adapters::{Adapter, Form};

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
    /// Whether the weight of its layer that is called `weight` is its own.
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

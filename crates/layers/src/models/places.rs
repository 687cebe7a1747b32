//! Every layer of a model with its place: what loading and saving walk over.

use std::collections::BTreeMap;

use regraft_autograd::VariableId;

use crate::models::model::Model;
use crate::models::shared::Met;
use crate::models::topology::{Body, Entry};
use crate::{Freezing, Weight};

/// A layer, or a model used as one, and where it is.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The path in layers' names: `base/conv1`.
    pub path: String,
    /// Its own name.
    pub name: &'a str,
    /// Its class: `Dense`, `Sequential`.
    pub class_name: &'a str,
    /// Whether it is a model used as a layer; its layers follow it.
    pub is_model: bool,
    /// The attribute in which Keras keeps it, if it is the content of the wrapper before it.
    pub attribute: Option<&'a str>,
    /// Its own weights, in the order in which files store them.
    pub weights: &'a [VariableId],
    /// Weights of what it contains that Keras' files have in front of its own, too.
    pub kept: Vec<VariableId>,
    /// What training may change in it.
    pub freezing: Freezing,
    /// Keras' `trainable` of the layer or model by itself, as files have it.
    pub says_trainable: bool,
    /// Whether its weights are those of a layer that stands earlier too.
    pub is_repeated: bool,
    /// Weights of it that were frozen (`false`) or unfrozen (`true`) alone, by name.
    pub alone: &'a BTreeMap<String, bool>,
    /// What it is called in PyTorch: what loading or
    /// [`set_module_names`](crate::Model::set_module_names) said, or its path with `.`.
    pub module: String,
    /// The weights of adapters on it, which files of models do not have.
    pub adapters: &'a [VariableId],
    pub(crate) entry: &'a Entry,
}

impl Place<'_> {
    /// Its own weights, of the model whose place it is.
    pub fn weights_in<'w>(&self, model: &'w Model) -> impl Iterator<Item = &'w Weight> {
        let ids = self.weights.iter();
        ids.filter_map(|&id| model.weights().get(id))
    }

    /// Whether training changes this weight of it: trains a parameter, or moves a state.
    pub fn moves(&self, weight: &Weight) -> bool {
        self.entry.moves(weight.spec())
    }

    /// Its own weights, and behind them those of adapters on it.
    pub fn all_weights(&self) -> impl Iterator<Item = &VariableId> + Clone {
        self.weights.iter().chain(self.adapters)
    }
}

impl Model {
    /// Every layer in order, inputs included, those of a nested model after it.
    pub fn places(&self) -> Vec<Place<'_>> {
        let mut places = Vec::new();
        let mut met = Met::default();
        self.topology.visit("", &mut |path, entry| {
            let module = entry.module.clone();
            places.push(Place {
                module: module.unwrap_or_else(|| path.replace('/', ".")),
                path,
                name: &entry.name,
                class_name: entry.class_name(),
                is_model: matches!(entry.body, Body::Nested(_)),
                attribute: entry.attribute,
                weights: entry.own_weights(),
                kept: entry.kept(&self.store),
                freezing: entry.freezing,
                says_trainable: entry.says_trainable(),
                is_repeated: met.again(entry),
                alone: &entry.alone,
                adapters: &entry.weights[entry.own_weights().len()..],
                entry,
            });
        });
        places
    }
}

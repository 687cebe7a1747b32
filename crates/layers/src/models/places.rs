//! Every layer of a model with its place: what loading and saving walk over.

use std::collections::BTreeMap;

use regraft_autograd::VariableId;

use crate::models::model::Model;
use crate::models::shared::Met;
use crate::models::topology::{Body, moves};
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
}

impl Place<'_> {
    /// Whether training changes this weight of it: trains a parameter, or moves a state.
    pub fn moves(&self, weight: &Weight) -> bool {
        moves(self.freezing, self.alone, weight.spec())
    }
}

impl Model {
    /// Every layer in order, inputs included, those of a nested model after it.
    pub fn places(&self) -> Vec<Place<'_>> {
        let mut places = Vec::new();
        let mut met = Met::default();
        self.topology.visit("", &mut |path, entry| {
            places.push(Place {
                path,
                name: &entry.name,
                class_name: entry.class_name(),
                is_model: matches!(entry.body, Body::Nested(_)),
                attribute: entry.attribute,
                weights: &entry.weights,
                kept: entry.kept(&self.store),
                freezing: entry.freezing,
                says_trainable: entry.says_trainable(),
                is_repeated: met.again(entry),
                alone: &entry.alone,
            });
        });
        places
    }
}

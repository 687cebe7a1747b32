//! Strings at the border of a model: which layer looks up those of an input, and which spells those of an
//! output.

use std::sync::Arc;

use crate::layers::Input;
use crate::models::topology::{Body, Topology, ValueId};
use crate::{Layer, Model};

impl Topology {
    /// Whether a value is an input of strings.
    pub fn is_strings(&self, id: ValueId) -> bool {
        let call = self.calls.get(id.call);
        let input = call.and_then(|call| self.layers[call.layer].leaf_as::<Input>());
        input.is_some_and(Input::is_strings)
    }

    /// The layer that the strings of input `index` go into.
    pub fn looks_up(&self, index: usize) -> Option<&Arc<dyn Layer>> {
        let &id = self.inputs.get(index)?;
        if !self.is_strings(id) {
            return None;
        }
        let mut calls = self.calls.iter();
        let call = calls.find(|call| call.inputs.contains(&id))?;
        match &self.layers[call.layer].body {
            Body::Leaf(layer) => Some(layer),
            Body::Nested(topology) => {
                let place = call.inputs.iter().position(|input| *input == id)?;
                topology.looks_up(place)
            }
        }
    }

    /// The layer whose output is output `index`.
    fn gives(&self, index: usize) -> Option<&Arc<dyn Layer>> {
        let id = self.outputs.get(index)?;
        match &self.layers[self.calls.get(id.call)?.layer].body {
            Body::Leaf(layer) => Some(layer),
            Body::Nested(topology) => topology.gives(id.output),
        }
    }
}

impl Model {
    /// The layer that looks up the strings of input `index`; none for an input of numbers.
    pub fn string_layer(&self, index: usize) -> Option<&Arc<dyn Layer>> {
        self.topology.looks_up(index)
    }

    /// The layer that spells the numbers of output `index`; none where they are numbers.
    pub fn spelling_layer(&self, index: usize) -> Option<&Arc<dyn Layer>> {
        let layer = self.topology.gives(index)?;
        layer.spell(0).is_some().then_some(layer)
    }
}

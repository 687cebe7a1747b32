//! Writing a model into a graph: every layer's formula, applied to the values it is connected to, and
//! the masks beside them.

use std::cell::RefCell;

use regraft_autograd::{Graph, Var};

use crate::contract::call::Call;
use crate::contract::element_type::in_elements_of;
use crate::contract::emission::{Emission, Mode};
use crate::models::scene::{Scene, Value};
use crate::models::topology::{Body, Entry, LayerCall, Topology, ValueId, ValueSpec};
use crate::{ElementType, Model, Result};

impl<'g> Scene<'g, '_> {
    /// Applies a layer or a nested model.
    pub fn call_entry(
        self,
        entry: &Entry,
        inputs: &[Value<'g>],
        types: &[ElementType],
    ) -> Vec<Value<'g>> {
        self.graph.scope(&entry.name, || {
            let results = self.call_body(entry, inputs, types);
            if let Some(first) = results.first() {
                let path = self.graph.scope_path();
                self.emission.borrow_mut().note(&path, first.var);
            }
            results
        })
    }

    fn call_body(
        self,
        entry: &Entry,
        inputs: &[Value<'g>],
        types: &[ElementType],
    ) -> Vec<Value<'g>> {
        match &entry.body {
            Body::Leaf(layer) => {
                let var = |input: &Value<'g>| match layer.takes_any_type() {
                    true => input.var,
                    false => in_elements_of(input.var, layer.input_type()),
                };
                let vars: Vec<Var<'g>> = inputs.iter().map(var).collect();
                let masks: Vec<Option<Var<'g>>> = inputs.iter().map(|input| input.mask).collect();
                let given = inputs.first().is_some_and(|input| input.is_given);
                let call = Call::new(self, entry, types, &masks).with_mask_given(given);
                let results = layer.call_all(&call, &vars).into_iter().map(Value::new);
                let mut results: Vec<Value<'g>> = results.collect();
                let masks = layer.masks(&call, &vars);
                for (result, mask) in results.iter_mut().zip(masks) {
                    result.mask = mask;
                }
                results
            }
            Body::Nested(topology) => {
                let scene = Scene {
                    formula_alone: false,
                    ..self
                };
                scene.call_topology(topology, inputs)
            }
        }
    }

    fn call_topology(self, topology: &Topology, inputs: &[Value<'g>]) -> Vec<Value<'g>> {
        let mut values: Vec<Vec<Value<'g>>> = vec![Vec::new(); topology.calls.len()];
        for (value, input) in topology.inputs.iter().zip(inputs) {
            let data_type = topology.value(*value).map(ValueSpec::data_type);
            let var = in_elements_of(input.var, data_type.unwrap_or_default());
            values[value.call] = vec![Value { var, ..*input }];
        }
        for (position, call) in topology.calls.iter().enumerate() {
            if !values[position].is_empty() {
                continue;
            }
            let operands = operands(&values, call);
            let types = topology.types(&call.inputs);
            let entry = &topology.layers[call.layer];
            values[position] = self.call_entry(entry, &operands, &types);
            if clears_masks(entry) {
                for input in &call.inputs {
                    values[input.call][input.output].mask = None;
                }
            }
        }
        let outputs = topology.outputs.iter();
        outputs.filter_map(|id| find(&values, id)).collect()
    }
}

impl Model {
    /// Writes the model into `graph`, applied to `inputs`, and returns its outputs, as floats, and
    /// what goes with them.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) if the model is not built, and what the graph refuses.
    pub fn emit<'g>(
        &self,
        graph: &'g Graph,
        inputs: &[Var<'g>],
        mode: Mode,
    ) -> Result<(Vec<Var<'g>>, Emission<'g>)> {
        self.emit_again(graph, inputs, mode, Emission::of(self.revision()))
    }

    /// As [`emit`](Self::emit), once more in the same graph: `before` is what the use before has given. Weights
    /// are the same values of the graph, and states go on from where that use left them.
    ///
    /// # Errors
    /// As [`emit`](Self::emit), and if `before` is of another model, or of this one before it changed.
    pub fn emit_again<'g>(
        &self,
        graph: &'g Graph,
        inputs: &[Var<'g>],
        mode: Mode,
        mut before: Emission<'g>,
    ) -> Result<(Vec<Var<'g>>, Emission<'g>)> {
        self.require_built()?;
        self.require_revision(before.revision)?;
        before.around = graph.scope_path();
        let emission = RefCell::new(before);
        let inputs: Vec<Value<'g>> = inputs.iter().copied().map(Value::new).collect();
        let scene = Scene {
            graph,
            mode,
            store: &self.store,
            emission: &emission,
            formula_alone: false,
        };
        let outputs = scene.call_topology(&self.topology, &inputs);
        graph.check()?;
        let mut emission = emission.into_inner();
        emission.masks = outputs.iter().map(|output| output.mask).collect();
        let outputs = outputs.iter().map(|output| output.var.to_f32());
        Ok((outputs.collect(), emission))
    }
}

/// The value that `id` means, if it is there yet.
fn find<'g>(values: &[Vec<Value<'g>>], id: &ValueId) -> Option<Value<'g>> {
    values[id.call].get(id.output).copied()
}

/// Whether what a layer was given has no masks afterwards. Keras 2 leaves them.
fn clears_masks(entry: &Entry) -> bool {
    matches!(&entry.body, Body::Leaf(layer) if layer.clears_masks()) && !entry.keras2
}

/// What a call takes: the values, with the masks that come with them unless others were given.
fn operands<'g>(values: &[Vec<Value<'g>>], call: &LayerCall) -> Vec<Value<'g>> {
    let inputs = call.inputs.iter().enumerate();
    inputs
        .filter_map(|(index, id)| {
            let mut value = find(values, id)?;
            value.is_given = false;
            if let Some(Some(given)) = call.masks.get(index) {
                value.mask = find(values, given).map(Value::as_mask);
                value.is_given = true;
            }
            Some(value)
        })
        .collect()
}

//! Writing a model into a graph: every layer's formula, applied to the values it is connected to.

use std::cell::RefCell;

use regraft_autograd::{Graph, Var};

use crate::call::{Call, Emission, Mode};
use crate::topology::{Body, Entry, Topology};
use crate::{Model, Result};

impl Model {
    pub(crate) fn call_entry<'g>(
        &self,
        graph: &'g Graph,
        mode: Mode,
        entry: &Entry,
        inputs: &[Var<'g>],
        emission: &RefCell<Emission<'g>>,
    ) -> Var<'g> {
        graph.scope(&entry.name, || match &entry.body {
            Body::Leaf(layer) => {
                let call = Call::new(graph, mode, entry, &self.store, emission);
                layer.call(&call, inputs)
            }
            Body::Nested(topology) => {
                let outputs = self.call_topology(graph, mode, topology, inputs, emission);
                outputs
                    .first()
                    .copied()
                    .unwrap_or_else(|| graph.number(0.0))
            }
        })
    }

    fn call_topology<'g>(
        &self,
        graph: &'g Graph,
        mode: Mode,
        topology: &Topology,
        inputs: &[Var<'g>],
        emission: &RefCell<Emission<'g>>,
    ) -> Vec<Var<'g>> {
        let mut values: Vec<Option<Var<'g>>> = vec![None; topology.calls.len()];
        for (value, input) in topology.inputs.iter().zip(inputs) {
            values[value.0] = Some(*input);
        }
        for (position, call) in topology.calls.iter().enumerate() {
            if values[position].is_some() {
                continue;
            }
            let operands: Vec<Var<'g>> = call
                .inputs
                .iter()
                .filter_map(|value| values[value.0])
                .collect();
            let entry = &topology.layers[call.layer];
            values[position] = Some(self.call_entry(graph, mode, entry, &operands, emission));
        }
        topology
            .outputs
            .iter()
            .filter_map(|value| values[value.0])
            .collect()
    }

    /// Writes the model into `graph`, applied to `inputs`, and returns its outputs and what goes
    /// with them.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) if the model is not built, and what the graph refuses.
    pub fn emit<'g>(
        &self,
        graph: &'g Graph,
        inputs: &[Var<'g>],
        mode: Mode,
    ) -> Result<(Vec<Var<'g>>, Emission<'g>)> {
        self.require_built()?;
        let emission = RefCell::new(Emission::default());
        let outputs = self.call_topology(graph, mode, &self.topology, inputs, &emission);
        graph.check()?;
        Ok((outputs, emission.into_inner()))
    }
}

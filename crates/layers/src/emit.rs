//! Writing a model into a graph: every layer's formula, applied to the values it is connected to.

use std::cell::RefCell;

use regraft_autograd::{Graph, Var};

use crate::call::{Call, Emission, Mode};
use crate::topology::{Body, Entry, Topology, ValueId};
use crate::{Model, Result};

impl Model {
    pub(crate) fn call_entry<'g>(
        &self,
        graph: &'g Graph,
        mode: Mode,
        entry: &Entry,
        inputs: &[Var<'g>],
        emission: &RefCell<Emission<'g>>,
    ) -> Vec<Var<'g>> {
        graph.scope(&entry.name, || match &entry.body {
            Body::Leaf(layer) => {
                let call = Call::new(graph, mode, entry, &self.store, emission);
                vec![layer.call(&call, inputs)]
            }
            Body::Nested(topology) => self.call_topology(graph, mode, topology, inputs, emission),
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
        let mut values: Vec<Vec<Var<'g>>> = vec![Vec::new(); topology.calls.len()];
        for (value, input) in topology.inputs.iter().zip(inputs) {
            values[value.call] = vec![*input];
        }
        let value = |values: &[Vec<Var<'g>>], id: &ValueId| -> Option<Var<'g>> {
            values[id.call].get(id.output).copied()
        };
        for (position, call) in topology.calls.iter().enumerate() {
            if !values[position].is_empty() {
                continue;
            }
            let inputs = call.inputs.iter();
            let operands: Vec<Var<'g>> = inputs.filter_map(|id| value(&values, id)).collect();
            let entry = &topology.layers[call.layer];
            values[position] = self.call_entry(graph, mode, entry, &operands, emission);
        }
        let outputs = topology.outputs.iter();
        outputs.filter_map(|id| value(&values, id)).collect()
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

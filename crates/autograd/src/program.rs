//! A compiled graph: instructions over planned buffers. It is immutable and shared; what a run writes is
//! a [`Workspace`].

use std::sync::Arc;

use crate::node::Source;
use crate::op::{operand_type, result_type};
use crate::passes::{Slots, TYPICAL_BATCH, assign_slots, copy_leaf_outputs, optimize};
use crate::{
    Constant, DataType, Graph, Node, NodeId, Nodes, Op, Result, Var, VariableId, Workspace,
};

/// A graph made ready to run. A clone is the same program, and any number of threads can run it at the
/// same time, each in a [`Workspace`] of its own.
///
/// ```
/// use regraft_autograd::{Feed, Graph, Program, Run, Tensor, VariableId};
///
/// let graph = Graph::new();
/// let x = graph.samples("x", &[2]);
/// let w = graph.variable(VariableId(0), "w", [2, 1]);
/// let program = Program::compile(&graph, &[x.matmul(w)])?;
///
/// let weights = [Tensor::new([2, 1], vec![10.0, 1.0])?];
/// let mut workspace = program.workspace();
/// let batch = 3;
/// workspace.run(batch, &[Feed::F32(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])], &weights, Run::default())?;
/// assert_eq!(workspace.output(0), [12.0, 34.0, 56.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Program {
    pub(crate) plan: Arc<Plan>,
}

/// What a program consists of.
#[derive(Debug)]
pub(crate) struct Plan {
    pub nodes: Nodes,
    pub instructions: Vec<Instruction>,
    pub inputs: Vec<InputRule>,
    pub variables: Vec<(VariableId, usize)>,
    pub outputs: Vec<OutputPlace>,
    /// For each buffer the nodes that live in it, one after the other.
    pub tenants: Vec<Vec<NodeId>>,
}

#[derive(Debug)]
pub(crate) struct Instruction {
    pub op: Arc<dyn Op>,
    pub operands: Vec<Place>,
    pub node: usize,
    /// As what the result is written.
    pub data_type: DataType,
    pub slot: usize,
    pub in_place: bool,
}

/// Where an operand is found while a program runs.
#[derive(Debug)]
pub(crate) struct Place {
    pub node: usize,
    /// As what it is read.
    pub data_type: DataType,
    pub store: Store,
}

#[derive(Debug)]
pub(crate) enum Store {
    Buffer(usize),
    /// In the buffer that the instruction writes: it works in place.
    Output,
    Input(usize),
    Constant(Constant),
    Variable(VariableId),
}

#[derive(Debug)]
pub(crate) struct InputRule {
    pub index: usize,
    pub node: usize,
}

#[derive(Debug)]
pub(crate) struct OutputPlace {
    pub node: usize,
    pub slot: usize,
}

impl Program {
    /// Compiles what `outputs` need, with all [passes](crate::passes).
    ///
    /// # Errors
    /// The graph's first error.
    pub fn compile(graph: &Graph, outputs: &[Var<'_>]) -> Result<Program> {
        graph.check()?;
        Ok(Self::from_nodes(optimize(&graph.nodes_for(outputs))))
    }

    /// Compiles `nodes` as they are, without passes.
    pub fn from_nodes(nodes: Nodes) -> Program {
        let nodes = copy_leaf_outputs(nodes);
        let slots = assign_slots(&nodes, TYPICAL_BATCH);
        let inputs = nodes.iter().filter_map(|(id, node)| match node.source {
            Source::Input { index } => Some(InputRule { index, node: id.0 }),
            _ => None,
        });
        let variables = nodes.iter().filter_map(|(id, node)| match node.source {
            Source::Variable(variable) => Some((variable, id.0)),
            _ => None,
        });
        let outputs = nodes.outputs().iter().map(|&output| OutputPlace {
            node: output.0,
            slot: slot_of(&slots, output),
        });
        let plan = Plan {
            instructions: instructions(&nodes, &slots),
            inputs: inputs.collect(),
            variables: variables.collect(),
            outputs: outputs.collect(),
            tenants: slots.tenants,
            nodes,
        };
        let plan = Arc::new(plan);
        Program { plan }
    }

    /// Buffers to run it in. They get their sizes at the first run.
    pub fn workspace(&self) -> Workspace {
        Workspace::new(self.clone())
    }

    /// The number of outputs.
    pub fn output_count(&self) -> usize {
        self.plan.outputs.len()
    }

    /// The nodes the program was compiled from, after passes.
    pub fn nodes(&self) -> &Nodes {
        &self.plan.nodes
    }

    /// Multiplications and additions of one run over `batch` samples.
    pub fn flops(&self, batch: usize) -> u64 {
        self.nodes().flops(batch)
    }

    /// Bytes of all buffers of a workspace for `batch` samples.
    pub fn buffer_bytes(&self, batch: usize) -> usize {
        Slots::bytes(&self.plan.tenants, self.nodes(), batch)
    }
}

fn instructions(nodes: &Nodes, slots: &Slots) -> Vec<Instruction> {
    let store = |id: NodeId| match &nodes.node(id).source {
        Source::Input { index } => Store::Input(*index),
        Source::Constant(constant) => Store::Constant(constant.clone()),
        Source::Variable(variable) => Store::Variable(*variable),
        Source::Op { .. } => Store::Buffer(slot_of(slots, id)),
    };
    let instruction = |(id, node): (NodeId, &Node)| {
        let op = node.op()?.clone();
        let in_place = slots.in_place[id.0];
        let operands = node.operands().iter().enumerate();
        let place = |(index, &operand): (usize, &NodeId)| Place {
            node: operand.0,
            data_type: operand_type(&*op, index, nodes.node(operand).data_type),
            store: match in_place && index == 0 {
                true => Store::Output,
                false => store(operand),
            },
        };
        Some(Instruction {
            operands: operands.map(place).collect(),
            data_type: result_type(&*op, node.operands().len(), node.data_type),
            op,
            node: id.0,
            slot: slot_of(slots, id),
            in_place,
        })
    };
    nodes.iter().filter_map(instruction).collect()
}

/// The buffer of a node that is computed.
fn slot_of(slots: &Slots, id: NodeId) -> usize {
    slots.slot[id.0].expect("every computed node has a buffer")
}

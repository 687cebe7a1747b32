//! The nodes of a graph in a topological order: what passes rewrite and programs are compiled from.

use regraft_tensor::Tensor;

use crate::node::{Constant, Node, NodeId, Source};
use crate::{DataType, Origin, Shape, Variables};

/// Nodes in topological order, and which of them are asked for.
///
/// They are valid by construction: operands stand before what uses them, an op takes what its operands
/// are and gives its node's shape and element type, outputs are there.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    nodes: Vec<Node>,
    outputs: Vec<NodeId>,
}

impl Nodes {
    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The node with number `id`.
    ///
    /// # Panics
    /// If there is none.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Every node with its number.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (NodeId, &Node)> {
        let numbered = self.nodes.iter().enumerate();
        numbered.map(|(index, node)| (NodeId(index), node))
    }

    /// The nodes whose values are wanted.
    pub fn outputs(&self) -> &[NodeId] {
        &self.outputs
    }

    /// The same nodes, of which others are wanted.
    ///
    /// # Panics
    /// If one of them is not there.
    #[must_use]
    pub fn with_outputs(mut self, outputs: Vec<NodeId>) -> Self {
        let there = outputs.iter().all(|output| output.0 < self.len());
        assert!(there, "outputs are nodes");
        self.outputs = outputs;
        self
    }

    /// Appends a node.
    ///
    /// # Panics
    /// If it is not valid (see the type): whoever builds nodes knows what fits, and formulas that may
    /// not fit are written with a [`Graph`](crate::Graph).
    pub fn push(&mut self, node: Node) -> NodeId {
        if let Err(fault) = self.check(&node) {
            panic!("the node `{}` of shape {}: {fault}", node.name, node.shape);
        }
        self.nodes.push(node);
        NodeId(self.len() - 1)
    }

    /// Whether a node can stand at the end.
    fn check(&self, node: &Node) -> Result<(), String> {
        let (op, operands) = match &node.source {
            Source::Op { op, operands } => (op, operands),
            Source::Constant(constant) => {
                let agrees =
                    node.shape == constant.shape().into() && node.data_type == constant.data_type();
                return agrees.then_some(()).ok_or("its array is another".into());
            }
            Source::Variable(_) if node.data_type != DataType::F32 => {
                return Err("variables are floats".into());
            }
            Source::Variable(_) | Source::Input { .. } => return Ok(()),
        };
        if operands.iter().any(|operand| operand.0 >= self.len()) {
            return Err("operands stand before what uses them".into());
        }
        let mut result = op.data_type();
        for (index, &operand) in operands.iter().enumerate() {
            let data_type = self.node(operand).data_type;
            if op.moves(index) {
                result = node.data_type;
            }
            let takes = match op.moves(index) {
                true => node.data_type,
                false => op.operand_type(index),
            };
            if data_type != takes {
                return Err(format!("operand {index} is {data_type}, not {takes}"));
            }
        }
        if result != node.data_type {
            return Err(format!("{} gives {result}", op.name()));
        }
        let shapes: Vec<&Shape> = operands.iter().map(|&id| &self.node(id).shape).collect();
        match op.shape(&shapes) {
            Ok(shape) if shape == node.shape => Ok(()),
            Ok(shape) => Err(format!("{} gives {shape}", op.name())),
            Err(detail) => Err(format!("{} refuses its operands: {detail}", op.name())),
        }
    }

    /// The same nodes, with the values that variables have now in their places, as constants.
    ///
    /// # Panics
    /// If one is not there, or of another size.
    #[must_use]
    pub fn with_constants(mut self, variables: &dyn Variables) -> Self {
        for node in &mut self.nodes {
            if let Source::Variable(id) = node.source {
                let shape = node.shape.fixed().expect("variables have fixed sizes");
                let value = variables.value(id).expect("all variables are there");
                let value = Tensor::new(shape, value.to_vec()).expect("as the graph says");
                node.source = Source::Constant(Constant::F32(value));
            }
        }
        self
    }

    /// For each node, how often it is used as an operand or an output.
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.len()];
        let operands = self.nodes.iter().flat_map(Node::operands);
        for id in operands.chain(&self.outputs) {
            uses[id.0] += 1;
        }
        uses
    }

    /// For each node whether an output needs it.
    pub fn needed(&self) -> Vec<bool> {
        let mut needed = vec![false; self.len()];
        for output in &self.outputs {
            needed[output.0] = true;
        }
        for (id, node) in self.iter().rev() {
            if needed[id.0] {
                for operand in node.operands() {
                    needed[operand.0] = true;
                }
            }
        }
        needed
    }

    /// Rebuilds the list node by node: `rewrite` gets each node with its operands already
    /// renumbered, and the list made so far, and returns the node's new number, or `None` to leave it
    /// out, and with it whatever is made of it. This is what most passes are made of.
    pub(crate) fn rebuild(
        &self,
        mut rewrite: impl FnMut(&mut Nodes, NodeId, Node) -> Option<NodeId>,
    ) -> Nodes {
        let mut made = Nodes::default();
        let mut renumbered: Vec<Option<NodeId>> = Vec::with_capacity(self.len());
        for (id, node) in self.iter() {
            let operands = node.operands().iter().map(|operand| renumbered[operand.0]);
            let new = operands.collect::<Option<Vec<NodeId>>>().and_then(|own| {
                let mut node = node.clone();
                if let Source::Op { operands, .. } = &mut node.source {
                    *operands = own;
                }
                rewrite(&mut made, id, node)
            });
            if let Some(new) = new.map(|new| made.node(new)) {
                let keeps = new.shape == node.shape && new.data_type == node.data_type;
                assert!(keeps, "a pass keeps shapes and element types");
            }
            renumbered.push(new);
        }
        let kept = |id: &NodeId| renumbered[id.0].expect("a pass leaves out what nobody asks for");
        let outputs = self.outputs.iter().map(kept).collect();
        made.with_outputs(outputs)
    }

    /// Makes an input of a node: its value is fed from now on.
    pub(crate) fn feed(&mut self, id: NodeId, index: usize) {
        self.nodes[id.0].source = Source::Input { index };
    }

    /// Tells where the value of a constant comes from.
    pub(crate) fn set_origin(&mut self, id: NodeId, origin: Origin) {
        self.nodes[id.0].origin = Some(origin);
    }

    /// Gives a node another name.
    pub(crate) fn rename(&mut self, id: NodeId, name: String) {
        self.nodes[id.0].name = name;
    }

    /// Multiplications and additions that computing all nodes for `batch` samples takes.
    pub fn flops(&self, batch: usize) -> u64 {
        let sizes: Vec<Vec<usize>> = self
            .nodes
            .iter()
            .map(|node| node.shape.concrete(batch))
            .collect();
        let cost = |(id, node): (NodeId, &Node)| {
            let op = node.op()?;
            let operands: Vec<&[usize]> = node
                .operands()
                .iter()
                .map(|operand| sizes[operand.0].as_slice())
                .collect();
            Some(op.flops(&operands, &sizes[id.0]))
        };
        self.iter().filter_map(cost).sum()
    }
}

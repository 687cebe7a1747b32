//! Building a data-flow graph: [`Graph`] collects nodes, a [`Var`] is a handle to one of them with
//! which formulas are written.
//!
//! Errors do not interrupt a formula. The first op whose operands do not fit is remembered with the
//! place where it happened, later ops are not checked any more, and [`Graph::check`],
//! [`Graph::grad`](crate::Graph::grad) and [`Program::compile`](crate::Program::compile) return it.

use std::cell::{Cell, Ref, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use regraft_tensor::{Detail, IntTensor, Tensor};

use crate::node::{Constant, Node, Source};
use crate::ops::{Alias, Misfit};
use crate::{DataType, Error, NodeId, Nodes, Op, Origin, Result, Shape, VariableId};

/// A data-flow graph under construction.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: RefCell<Nodes>,
    inputs: Cell<usize>,
    variables: RefCell<HashMap<VariableId, NodeId>>,
    streams: Cell<u64>,
    scope: RefCell<Vec<String>>,
    /// Whether what is made now is made by differentiation.
    backward: Cell<bool>,
    error: RefCell<Option<Error>>,
}

/// A value of a [`Graph`]: an input, a constant, a variable or the result of an op.
#[derive(Clone, Copy)]
pub struct Var<'g> {
    graph: &'g Graph,
    id: NodeId,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// A value that is fed at each run; inputs are fed in the order in which they were made.
    pub fn input(&self, name: &str, shape: impl Into<Shape>, data_type: DataType) -> Var<'_> {
        let index = self.inputs.replace(self.inputs.get() + 1);
        self.push(Source::Input { index }, shape.into(), data_type, name)
    }

    /// A batch of samples of shape `sample`, fed at each run.
    pub fn samples(&self, name: &str, sample: &[usize]) -> Var<'_> {
        self.input(name, Shape::batch_of(sample), DataType::F32)
    }

    /// The number of inputs made so far.
    pub fn input_count(&self) -> usize {
        self.inputs.get()
    }

    /// A fixed array. It has no gradient, and nothing can change it.
    pub fn constant(&self, value: Tensor) -> Var<'_> {
        self.named_constant("", value)
    }

    /// A fixed array with a name for drawings.
    pub fn named_constant(&self, name: &str, value: Tensor) -> Var<'_> {
        let shape = value.shape().into();
        let source = Source::Constant(Constant::F32(value));
        self.push(source, shape, DataType::F32, name)
    }

    /// As [`named_constant`](Self::named_constant), with where the value comes from: programs that have
    /// constants of one origin share what is packed of them.
    pub fn constant_from(&self, origin: Origin, name: &str, value: Tensor) -> Var<'_> {
        let constant = self.named_constant(name, value);
        self.nodes.borrow_mut().set_origin(constant.id, origin);
        constant
    }

    /// A fixed array of integers.
    pub fn int_constant(&self, value: IntTensor) -> Var<'_> {
        let shape = value.shape().into();
        let source = Source::Constant(Constant::I32(value));
        self.push(source, shape, DataType::I32, "")
    }

    /// A single number.
    pub fn number(&self, value: f32) -> Var<'_> {
        self.constant(Tensor::scalar(value))
    }

    /// `value` in every cell of `shape`.
    pub fn full(&self, shape: impl Into<Shape>, value: f32) -> Var<'_> {
        self.number(value).broadcast_to(shape)
    }

    /// A value that is read from the store of variables at each run. A variable is there once: asked
    /// for again, it is the same node. A known id with another shape is an error, since it can only be
    /// another variable.
    pub fn variable(&self, id: VariableId, name: &str, shape: impl Into<Shape>) -> Var<'_> {
        let shape = shape.into();
        let known = self.variables.borrow().get(&id).map(|&id| self.var(id));
        if let Some(known) = known {
            if known.shape() != shape {
                let received = format!("shape {shape} under the same `VariableId`");
                let expected = format!("shape {}, as the variable has", known.shape());
                let help = "give every variable an id of its own, such as `VariableId::unique()`";
                let detail = Detail::new(name, expected, received).help(help);
                self.fail(Error::Shape(detail));
            }
            return known;
        }
        let var = self.push(Source::Variable(id), shape, DataType::F32, name);
        self.variables.borrow_mut().insert(id, var.id);
        var
    }

    /// The number of a new stream of random numbers, so that no two random ops of the graph draw the
    /// same.
    pub fn new_stream(&self) -> u64 {
        self.streams.replace(self.streams.get() + 1)
    }

    /// The result of `op` on `operands`.
    pub fn apply<'g>(&'g self, op: impl Op, operands: &[Var<'g>]) -> Var<'g> {
        self.apply_shared(Arc::new(op), operands)
    }

    /// The result of a shared `op` on `operands`.
    pub fn apply_shared<'g>(&'g self, op: Arc<dyn Op>, operands: &[Var<'g>]) -> Var<'g> {
        let moved = (0..operands.len()).find(|&index| op.moves(index));
        let data_type = match moved {
            Some(index) => operands[index].data_type(),
            None => op.data_type(),
        };
        match self.result_shape(&*op, operands, data_type) {
            Ok(shape) => {
                let operands = operands.iter().map(|operand| operand.id).collect();
                self.push(Source::Op { op, operands }, shape, data_type, "")
            }
            Err(error) => {
                self.fail(error);
                let shape = operands.first().map(|it| it.shape()).unwrap_or_default();
                let op = Misfit::new(op.name(), shape.clone(), data_type);
                let (op, operands) = (Arc::new(op), Vec::new());
                self.push(Source::Op { op, operands }, shape, data_type, "")
            }
        }
    }

    /// The shape of the result, of which `data_type` is the element type.
    fn result_shape(
        &self,
        op: &dyn Op,
        operands: &[Var<'_>],
        data_type: DataType,
    ) -> Result<Shape> {
        if let Some(stranger) = operands
            .iter()
            .find(|operand| !std::ptr::eq(operand.graph, self))
        {
            return Err(Error::Shape(Detail::new(
                op.name(),
                "operands of one graph",
                format!("{stranger:?} of another"),
            )));
        }
        let nodes = self.nodes.borrow();
        for (index, operand) in operands.iter().enumerate() {
            let received = nodes.node(operand.id).data_type;
            let expected = match op.moves(index) {
                true => data_type,
                false => op.operand_type(index),
            };
            if received != expected {
                return Err(Error::DataType(Detail::new(
                    format!("{}, operand {index}", op.name()),
                    expected,
                    received,
                )));
            }
        }
        let shapes: Vec<&Shape> = operands
            .iter()
            .map(|operand| &nodes.node(operand.id).shape)
            .collect();
        op.shape(&shapes)
            .map_err(|detail| Error::Shape(detail.within(op.name())))
    }

    fn push(&self, source: Source, shape: Shape, data_type: DataType, name: &str) -> Var<'_> {
        let id = self.nodes.borrow_mut().push(Node {
            source,
            shape,
            data_type,
            name: self.path(name),
            backward: self.backward.get(),
            origin: None,
        });
        Var { graph: self, id }
    }

    /// Runs `build` with `name` appended to the path that new nodes and errors carry.
    pub fn scope<T>(&self, name: &str, build: impl FnOnce() -> T) -> T {
        self.scope.borrow_mut().push(name.to_string());
        let result = build();
        self.scope.borrow_mut().pop();
        result
    }

    /// Runs `build` with `path` as the path that new nodes and errors carry.
    pub(crate) fn within<T>(&self, path: &str, build: impl FnOnce() -> T) -> T {
        let own = (!path.is_empty()).then(|| path.to_string());
        let scope = self.scope.replace(own.into_iter().collect());
        let result = build();
        self.scope.replace(scope);
        result
    }

    /// Runs `build`, whose nodes count as made by differentiation.
    pub(crate) fn backward<T>(&self, build: impl FnOnce() -> T) -> T {
        let before = self.backward.replace(true);
        let result = build();
        self.backward.set(before);
        result
    }

    /// The path that new nodes carry: the names of the [`scope`](Self::scope)s around.
    pub fn scope_path(&self) -> String {
        self.path("")
    }

    fn path(&self, name: &str) -> String {
        let scope = self.scope.borrow();
        let mut parts: Vec<&str> = scope.iter().map(String::as_str).collect();
        if !name.is_empty() {
            parts.push(name);
        }
        parts.join("/")
    }

    /// Remembers `error` (with the current path) unless there is an earlier one.
    pub fn fail(&self, error: Error) {
        let path = self.path("");
        let error = if path.is_empty() {
            error
        } else {
            error.within(&path)
        };
        self.error.borrow_mut().get_or_insert(error);
    }

    /// The first error of the formulas written so far.
    ///
    /// # Errors
    /// That error.
    pub fn check(&self) -> Result<()> {
        self.error.borrow().clone().map_or(Ok(()), Err)
    }

    /// The nodes made so far.
    pub fn nodes(&self) -> Ref<'_, Nodes> {
        self.nodes.borrow()
    }

    /// A copy of the nodes with `outputs` as what is asked for: what passes work on.
    pub fn nodes_for(&self, outputs: &[Var<'_>]) -> Nodes {
        let outputs = outputs.iter().map(|output| output.id).collect();
        self.nodes.borrow().clone().with_outputs(outputs)
    }

    /// Gives a node another name.
    pub(crate) fn rename(&self, id: NodeId, name: String) {
        self.nodes.borrow_mut().rename(id, name);
    }

    /// The handle of a node.
    pub(crate) fn var(&self, id: NodeId) -> Var<'_> {
        Var { graph: self, id }
    }
}

impl<'g> Var<'g> {
    /// The graph it belongs to.
    pub fn graph(self) -> &'g Graph {
        self.graph
    }

    /// Its number in the graph.
    pub fn id(self) -> NodeId {
        self.id
    }

    /// Its sizes.
    pub fn shape(self) -> Shape {
        self.graph.nodes.borrow().node(self.id).shape.clone()
    }

    /// Its element type.
    pub fn data_type(self) -> DataType {
        self.graph.nodes.borrow().node(self.id).data_type
    }

    /// Gives it a name for drawings.
    pub fn named(self, name: &str) -> Self {
        let name = self.graph.path(name);
        self.graph.rename(self.id, name);
        self
    }

    /// Whether it is a constant.
    pub fn is_constant(self) -> bool {
        self.graph.nodes.borrow().node(self.id).constant().is_some()
    }

    /// The operands, if this is the result of an `O`: a loss looks for the logits below a softmax.
    pub fn operands_of<O: Op>(self) -> Option<Vec<Var<'g>>> {
        let nodes = self.graph.nodes.borrow();
        let node = nodes.node(self.id);
        node.op_as::<O>()?;
        let operands = node.operands().iter();
        Some(operands.map(|&id| self.graph.var(id)).collect())
    }

    /// Another node with the same value, which costs nothing when a program runs.
    pub(crate) fn alias(self) -> Var<'g> {
        self.graph.apply(
            Alias {
                data_type: self.data_type(),
            },
            &[self],
        )
    }
}

impl fmt::Debug for Var<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{} {}", self.id.0, self.shape())
    }
}

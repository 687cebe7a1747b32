//! The executor: a graph compiled to a list of instructions over planned buffers, run as often as
//! one likes without allocating anything once the buffers have their size. (Two things still do: a
//! reduction over axes that are not neighbours, for its partial result, and starting work on several
//! threads.)

use std::sync::Arc;

use regraft_tensor::{Detail, Tensor};

use crate::node::{Constant, Source};
use crate::op::{Forward, Operand, Output, Run, operand_type, result_type};
use crate::ops::Alias;
use crate::passes::{Slots, assign_slots, optimize};
use crate::{DataType, Error, Graph, Node, NodeId, Nodes, Op, Result, Var, VariableId};

/// The store that a program reads its variables from.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a store of variables",
    note = "pass a slice of tensors (`&[Tensor]`, indexed by `VariableId`) or implement `regraft_autograd::Variables`"
)]
pub trait Variables {
    /// The elements of variable `id`, if there is one.
    fn value(&self, id: VariableId) -> Option<&[f32]>;
}

impl Variables for [Tensor] {
    fn value(&self, id: VariableId) -> Option<&[f32]> {
        self.get(id.0).map(Tensor::as_slice)
    }
}

impl<const N: usize> Variables for [Tensor; N] {
    fn value(&self, id: VariableId) -> Option<&[f32]> {
        self.as_slice().value(id)
    }
}

/// Several stores, each with variables of its own: the weights of several models in one graph.
impl<V: Variables + ?Sized> Variables for [&V] {
    fn value(&self, id: VariableId) -> Option<&[f32]> {
        self.iter().find_map(|store| store.value(id))
    }
}

impl<V: Variables + ?Sized, const N: usize> Variables for [&V; N] {
    fn value(&self, id: VariableId) -> Option<&[f32]> {
        self.as_slice().value(id)
    }
}

impl Variables for Vec<Tensor> {
    fn value(&self, id: VariableId) -> Option<&[f32]> {
        self.as_slice().value(id)
    }
}

/// A value fed to a program's input.
#[derive(Clone, Copy, Debug)]
pub enum Feed<'a> {
    /// Floats in row-major order.
    F32(&'a [f32]),
    /// Integers in row-major order.
    I32(&'a [i32]),
}

impl<'a> Feed<'a> {
    fn words(self) -> (DataType, &'a [f32]) {
        match self {
            Feed::F32(values) => (DataType::F32, values),
            Feed::I32(values) => (DataType::I32, bytemuck::cast_slice(values)),
        }
    }
}

impl<'a> From<&'a Tensor> for Feed<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Feed::F32(tensor.as_slice())
    }
}

/// A graph made ready to run.
///
/// ```
/// use regraft_autograd::{Feed, Graph, Program, Run, Tensor, VariableId};
///
/// let graph = Graph::new();
/// let x = graph.samples("x", &[2]);
/// let w = graph.variable(VariableId(0), "w", [2, 1]);
/// let mut program = Program::compile(&graph, &[x.matmul(w)])?;
///
/// let weights = [Tensor::new([2, 1], vec![10.0, 1.0])?];
/// let batch = 3;
/// program.run(batch, &[Feed::F32(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])], &weights, Run::default())?;
/// assert_eq!(program.output(0), [12.0, 34.0, 56.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Program {
    nodes: Nodes,
    instructions: Vec<Instruction>,
    inputs: Vec<InputRule>,
    variables: Vec<(VariableId, usize)>,
    outputs: Vec<Place>,
    slots: Slots,
    buffers: Vec<Vec<f32>>,
    /// The sizes of every node for the batch that ran last.
    shapes: Vec<Vec<usize>>,
    /// The number of elements of every node for that batch.
    lengths: Vec<usize>,
    batch: Option<usize>,
    /// The memory of the longest list of operands, always empty between instructions.
    operands: Vec<Operand<'static>>,
}

#[derive(Debug)]
struct Instruction {
    op: Arc<dyn Op>,
    operands: Vec<Place>,
    node: usize,
    /// As what the result is written.
    data_type: DataType,
    slot: usize,
    in_place: bool,
}

/// Where a value is found while a program runs.
#[derive(Clone, Copy, Debug)]
struct Place {
    node: usize,
    /// As what it is read.
    data_type: DataType,
    store: Store,
}

#[derive(Clone, Copy, Debug)]
enum Store {
    Buffer(usize),
    Input(usize),
    Constant,
    Variable(VariableId),
}

#[derive(Debug)]
struct InputRule {
    index: usize,
    node: usize,
}

/// What stands in a list of operands before it is filled.
const NOTHING: Operand<'static> = Operand {
    shape: &[],
    data_type: DataType::F32,
    data: &[],
};

/// How many operands an op may have whose list stands on the stack.
const INLINE_OPERANDS: usize = 8;

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
    pub fn from_nodes(mut nodes: Nodes) -> Program {
        const TYPICAL_BATCH: usize = 32;
        nodes.copy_leaf_outputs();
        let slots = assign_slots(&nodes, TYPICAL_BATCH);
        let place = |id: NodeId| {
            let store = match &nodes.node(id).source {
                Source::Input { index } => Store::Input(*index),
                Source::Constant(_) => Store::Constant,
                Source::Variable(variable) => Store::Variable(*variable),
                Source::Op { .. } => Store::Buffer(slots.slot[id.0].unwrap_or_default()),
            };
            Place {
                node: id.0,
                data_type: nodes.node(id).data_type,
                store,
            }
        };
        let instructions = nodes
            .iter()
            .filter_map(|(id, node)| {
                let op = node.op()?.clone();
                let operands = node.operands().iter().enumerate();
                let operands = operands.map(|(index, &operand)| Place {
                    data_type: operand_type(&*op, index, nodes.node(operand).data_type),
                    ..place(operand)
                });
                let operands: Vec<Place> = operands.collect();
                Some(Instruction {
                    data_type: result_type(&*op, operands.len(), node.data_type),
                    op,
                    operands,
                    node: id.0,
                    slot: slots.slot[id.0]?,
                    in_place: slots.in_place[id.0],
                })
            })
            .collect();
        let inputs = nodes
            .iter()
            .filter_map(|(id, node)| match node.source {
                Source::Input { index } => Some(InputRule { index, node: id.0 }),
                _ => None,
            })
            .collect();
        let variables = nodes
            .iter()
            .filter_map(|(id, node)| match node.source {
                Source::Variable(variable) => Some((variable, id.0)),
                _ => None,
            })
            .collect();
        Program {
            instructions,
            inputs,
            variables,
            outputs: nodes.outputs.iter().map(|&output| place(output)).collect(),
            buffers: vec![Vec::new(); slots.tenants.len()],
            shapes: nodes
                .nodes
                .iter()
                .map(|node| vec![0; node.shape.rank()])
                .collect(),
            lengths: vec![0; nodes.nodes.len()],
            batch: None,
            operands: Vec::new(),
            slots,
            nodes,
        }
    }

    /// Computes the outputs for `batch` samples from the fed inputs (by position) and variables.
    ///
    /// # Errors
    /// [`Error::Feed`] if a fed value is missing, of the wrong type or length, or out of the bounds
    /// that an op checks; nothing is written to `variables` in any case.
    pub fn run<V: Variables + ?Sized>(
        &mut self,
        batch: usize,
        feeds: &[Feed<'_>],
        variables: &V,
        run: Run,
    ) -> Result<()> {
        self.set_batch(batch);
        self.check_feeds(batch, feeds)?;
        self.check_variables(variables)?;
        for instruction in &self.instructions {
            let mut buffer = std::mem::take(&mut self.buffers[instruction.slot]);
            let shape = &self.shapes[instruction.node];
            let output = Output {
                shape,
                data_type: instruction.data_type,
                data: &mut buffer[..self.lengths[instruction.node]],
            };
            let read = |place: &Place| -> Operand<'_> {
                let shape = &self.shapes[place.node];
                let data = match place.store {
                    // The buffer of an operand written over in place is out of reach here.
                    Store::Buffer(slot) => {
                        let length = self.lengths[place.node];
                        self.buffers[slot].get(..length).unwrap_or_default()
                    }
                    Store::Input(index) => feeds[index].words().1,
                    Store::Constant => match &self.nodes.nodes[place.node].source {
                        Source::Constant(constant) => constant.words(),
                        _ => &[],
                    },
                    Store::Variable(id) => variables.value(id).unwrap_or_default(),
                };
                Operand {
                    shape,
                    data_type: place.data_type,
                    data,
                }
            };
            let mut inline = [NOTHING; INLINE_OPERANDS];
            let mut list = Vec::new();
            let operands: &[Operand<'_>] = if instruction.operands.len() <= INLINE_OPERANDS {
                for (slot, place) in inline.iter_mut().zip(&instruction.operands) {
                    *slot = read(place);
                }
                &inline[..instruction.operands.len()]
            } else {
                list = emptied(std::mem::take(&mut self.operands));
                list.extend(instruction.operands.iter().map(read));
                &list
            };
            let forward = Forward { operands, run };
            let done = match instruction.in_place {
                true => instruction.op.forward_in_place(forward, output),
                false => instruction.op.forward(forward, output),
            };
            if instruction.operands.len() > INLINE_OPERANDS {
                self.operands = emptied(list);
            }
            self.buffers[instruction.slot] = buffer;
            if let Err(detail) = done {
                let node = &self.nodes.nodes[instruction.node];
                let place = if node.name.is_empty() {
                    instruction.op.name()
                } else {
                    &node.name
                };
                return Err(Error::Feed(detail.within(place)));
            }
        }
        Ok(())
    }

    /// The value of output `index` after the last run, in row-major order; empty before the first.
    ///
    /// # Panics
    /// If there are not so many outputs, or if it holds integers: [`output_i32`](Self::output_i32).
    pub fn output(&self, index: usize) -> &[f32] {
        self.typed_output(index, DataType::F32)
    }

    /// As [`output`](Self::output), of an output of integers.
    ///
    /// # Panics
    /// If there are not so many outputs, or if it holds floats.
    pub fn output_i32(&self, index: usize) -> &[i32] {
        bytemuck::cast_slice(self.typed_output(index, DataType::I32))
    }

    fn output_place(&self, index: usize) -> Place {
        let count = self.outputs.len();
        let place = self.outputs.get(index);
        *place.unwrap_or_else(|| panic!("output {index} of a program with {count} outputs"))
    }

    fn typed_output(&self, index: usize, data_type: DataType) -> &[f32] {
        let place = self.output_place(index);
        let holds = self.nodes.nodes[place.node].data_type;
        assert!(
            holds == data_type,
            "output {index} holds {holds}, read as {data_type}"
        );
        let length = self.lengths[place.node];
        match place.store {
            Store::Buffer(slot) => self.buffers[slot].get(..length).unwrap_or_default(),
            // Leaves are copied to a buffer when they are outputs (see `from_nodes`).
            _ => &[],
        }
    }

    /// The sizes of output `index` in the last run.
    ///
    /// # Panics
    /// If there are not so many outputs.
    pub fn output_shape(&self, index: usize) -> &[usize] {
        &self.shapes[self.output_place(index).node]
    }

    /// The number of outputs.
    pub fn output_count(&self) -> usize {
        self.outputs.len()
    }

    /// The nodes the program was compiled from, after passes.
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Multiplications and additions of one run over `batch` samples.
    pub fn flops(&self, batch: usize) -> u64 {
        self.nodes.flops(batch)
    }

    /// Bytes of all buffers for `batch` samples.
    pub fn buffer_bytes(&self, batch: usize) -> usize {
        let length = |slot: &Vec<NodeId>| {
            slot.iter()
                .map(|&id| self.nodes.node(id).shape.len(batch))
                .max()
                .unwrap_or(0)
        };
        4 * self.slots.tenants.iter().map(length).sum::<usize>()
    }

    fn set_batch(&mut self, batch: usize) {
        if self.batch == Some(batch) {
            return;
        }
        self.batch = Some(batch);
        let nodes = self.nodes.nodes.iter();
        for (node, (sizes, length)) in nodes.zip(self.shapes.iter_mut().zip(&mut self.lengths)) {
            node.shape.write_concrete(batch, sizes);
            *length = sizes.iter().product();
        }
        for (buffer, tenants) in self.buffers.iter_mut().zip(&self.slots.tenants) {
            let tenants = tenants.iter().map(|id| self.lengths[id.0]);
            let length = tenants.max().unwrap_or(0);
            if buffer.len() < length {
                buffer.resize(length, 0.0);
            }
        }
    }

    fn check_feeds(&self, batch: usize, feeds: &[Feed<'_>]) -> Result<()> {
        for rule in &self.inputs {
            let node: &Node = &self.nodes.nodes[rule.node];
            let expected = self.lengths[rule.node];
            let Some(feed) = feeds.get(rule.index) else {
                let at = format!("input {} ({})", rule.index, node.name);
                let fed = format!("{} inputs", feeds.len());
                return Err(Error::Feed(Detail::new(at, "a value", fed)));
            };
            let (data_type, words) = feed.words();
            if data_type != node.data_type {
                let at = format!("input {} ({})", rule.index, node.name);
                return Err(Error::DataType(Detail::new(at, node.data_type, data_type)));
            }
            if words.len() != expected {
                let at = format!("input {} ({})", rule.index, node.name);
                let sizes = &node.shape;
                let expected = format!("{expected} elements for {batch} samples of {sizes}");
                return Err(Error::Feed(Detail::new(at, expected, words.len())));
            }
        }
        Ok(())
    }

    fn check_variables<V: Variables + ?Sized>(&self, variables: &V) -> Result<()> {
        for &(id, node) in &self.variables {
            let expected = self.lengths[node];
            let received = variables.value(id).map(<[f32]>::len);
            if received != Some(expected) {
                let Node { name, shape, .. } = &self.nodes.nodes[node];
                let at = format!("variable {} ({name})", id.0);
                let received = match received {
                    Some(length) => format!("{length} elements"),
                    None => "none".to_string(),
                };
                let expected = format!("{expected} elements of {shape}");
                return Err(Error::Feed(Detail::new(at, expected, received)));
            }
        }
        Ok(())
    }
}

/// The memory of a list, for elements of another lifetime. Collecting what a list owned into a list
/// of elements of the same size keeps its memory.
fn emptied<'a>(mut list: Vec<Operand<'_>>) -> Vec<Operand<'a>> {
    list.clear();
    list.into_iter().map(|_| NOTHING).collect()
}

impl Nodes {
    /// Gives outputs that are leaves a buffer of their own, which they are copied to.
    fn copy_leaf_outputs(&mut self) {
        for position in 0..self.outputs.len() {
            let id = self.outputs[position];
            let leaf = self.node(id);
            if leaf.op().is_none() {
                let copy = Node {
                    source: Source::Op {
                        op: Arc::new(Alias {
                            data_type: leaf.data_type,
                        }),
                        operands: vec![id],
                    },
                    ..leaf.clone()
                };
                self.outputs[position] = self.push(copy);
            }
        }
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

impl Constant {
    /// The array of floats, if it is one.
    pub fn f32(&self) -> Option<&Tensor> {
        match self {
            Constant::F32(tensor) => Some(tensor),
            Constant::I32(_) => None,
        }
    }
}

//! Runs a program: a workspace has its buffers, so that a program can be run as often as one likes without
//! allocating anything once they have their size. (Two things still do: a reduction over axes that are
//! not neighbours, for its partial result, and starting work on several threads.)

use regraft_tensor::kernels::standing_by;

use crate::feed;
use crate::op::{Forward, Operand, Output, Run};
use crate::program::{OutputPlace, Store};
use crate::{DataType, Error, Feed, Node, NodeId, Program, Result, Variables};

/// The memory in which a [`Program`] runs, and with it the results of its last run.
#[derive(Debug)]
pub struct Workspace {
    program: Program,
    buffers: Vec<Vec<f32>>,
    /// The sizes of every node for the batch that ran last.
    shapes: Vec<Vec<usize>>,
    /// The number of elements of every node for that batch.
    lengths: Vec<usize>,
    batch: Option<usize>,
    /// From how many samples on other threads stand by while it runs.
    long: usize,
    /// The memory of the longest list of operands, always empty between instructions.
    operands: Vec<Operand<'static>>,
}

/// What stands in a list of operands before it is filled.
const NOTHING: Operand<'static> = Operand {
    shape: &[],
    data_type: DataType::F32,
    data: &[],
};

/// From so many multiplications and additions on, about a millisecond of one thread, it is worth while to have other
/// threads stand by.
const LONG: u64 = 1 << 25;

/// How many operands an op may have whose list stands on the stack.
const INLINE_OPERANDS: usize = 8;

impl Workspace {
    pub(crate) fn new(program: Program) -> Workspace {
        let nodes = program.nodes();
        Workspace {
            buffers: vec![Vec::new(); program.plan.tenants.len()],
            shapes: nodes
                .iter()
                .map(|(_, node)| vec![0; node.shape.rank()])
                .collect(),
            lengths: vec![0; nodes.len()],
            batch: None,
            long: usize::try_from(LONG.div_ceil(program.flops(1).max(1))).unwrap_or(usize::MAX),
            operands: Vec::new(),
            program,
        }
    }

    /// What runs here.
    pub fn program(&self) -> &Program {
        &self.program
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
        self.resize_buffers();
        self.check_feeds(batch, feeds)?;
        self.check_variables(variables)?;
        match batch >= self.long {
            true => standing_by(|| self.run_instructions(feeds, variables, run)),
            false => self.run_instructions(feeds, variables, run),
        }
    }

    fn run_instructions<V: Variables + ?Sized>(
        &mut self,
        feeds: &[Feed<'_>],
        variables: &V,
        run: Run,
    ) -> Result<()> {
        for instruction in &self.program.plan.instructions {
            let mut buffer = std::mem::take(&mut self.buffers[instruction.slot]);
            let shape = &self.shapes[instruction.node];
            let output = Output {
                shape,
                data_type: instruction.data_type,
                data: &mut buffer[..self.lengths[instruction.node]],
            };
            let read = instruction.operands.iter().map(|place| {
                let data = match &place.store {
                    Store::Buffer(slot) => &self.buffers[*slot][..self.lengths[place.node]],
                    Store::Output => &[],
                    Store::Input(index) => feeds[*index].words().1,
                    Store::Constant(constant) => constant.words(),
                    Store::Variable(id) => variables.value(*id).expect("all variables are there"),
                };
                Operand {
                    shape: &self.shapes[place.node],
                    data_type: place.data_type,
                    data,
                }
            });
            let mut inline = [NOTHING; INLINE_OPERANDS];
            let mut list = Vec::new();
            let operands: &[Operand<'_>] = if instruction.operands.len() <= INLINE_OPERANDS {
                for (slot, operand) in inline.iter_mut().zip(read) {
                    *slot = operand;
                }
                &inline[..instruction.operands.len()]
            } else {
                list = emptied(std::mem::take(&mut self.operands));
                list.extend(read);
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
                let place = self.node(instruction.node).place();
                return Err(Error::Feed(detail.within(place)));
            }
        }
        Ok(())
    }

    /// The errors that [`run`](Self::run) would give before it computes anything.
    pub(crate) fn check<V: Variables + ?Sized>(
        &mut self,
        batch: usize,
        feeds: &[Feed<'_>],
        variables: &V,
    ) -> Result<()> {
        self.set_batch(batch);
        self.check_feeds(batch, feeds)?;
        self.check_variables(variables)
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

    /// As [`output`](Self::output), of either type.
    pub(crate) fn value(&self, index: usize) -> Feed<'_> {
        match self.node(self.output_place(index).node).data_type {
            DataType::F32 => Feed::F32(self.output(index)),
            DataType::I32 => Feed::I32(self.output_i32(index)),
        }
    }

    /// The sizes of output `index` in the last run.
    ///
    /// # Panics
    /// If there are not so many outputs.
    pub fn output_shape(&self, index: usize) -> &[usize] {
        &self.shapes[self.output_place(index).node]
    }

    fn typed_output(&self, index: usize, data_type: DataType) -> &[f32] {
        self.check_type(index, data_type);
        self.words(index)
    }

    /// Output `index` after the last run, as the 32 bits of each element.
    pub(crate) fn words(&self, index: usize) -> &[f32] {
        let place = self.output_place(index);
        &self.buffers[place.slot][..self.lengths[place.node]]
    }

    /// Makes sure that there is an output `index`, and that it holds this type.
    pub(crate) fn check_type(&self, index: usize, data_type: DataType) {
        let holds = self.node(self.output_place(index).node).data_type;
        assert!(
            holds == data_type,
            "output {index} holds {holds}, read as {data_type}"
        );
    }

    fn output_place(&self, index: usize) -> &OutputPlace {
        let outputs = &self.program.plan.outputs;
        let count = outputs.len();
        let place = outputs.get(index);
        place.unwrap_or_else(|| panic!("output {index} of a program with {count} outputs"))
    }

    fn node(&self, index: usize) -> &Node {
        self.program.nodes().node(NodeId(index))
    }

    fn set_batch(&mut self, batch: usize) {
        if self.batch == Some(batch) {
            return;
        }
        self.batch = Some(batch);
        let plan = &self.program.plan;
        let nodes = plan.nodes.iter();
        for ((_, node), (sizes, length)) in nodes.zip(self.shapes.iter_mut().zip(&mut self.lengths))
        {
            node.shape.write_concrete(batch, sizes);
            *length = sizes.iter().product();
        }
    }

    /// Room for the batch that was set.
    fn resize_buffers(&mut self) {
        for (buffer, tenants) in self.buffers.iter_mut().zip(&self.program.plan.tenants) {
            let tenants = tenants.iter().map(|id| self.lengths[id.0]);
            let length = tenants.max().unwrap_or(0);
            if buffer.len() < length {
                buffer.resize(length, 0.0);
            }
        }
    }

    fn check_feeds(&self, batch: usize, feeds: &[Feed<'_>]) -> Result<()> {
        for rule in &self.program.plan.inputs {
            let node = self.node(rule.node);
            feed::check_input(node, rule.index, self.lengths[rule.node], batch, feeds)?;
        }
        Ok(())
    }

    fn check_variables<V: Variables + ?Sized>(&self, variables: &V) -> Result<()> {
        for &(id, node) in &self.program.plan.variables {
            feed::check_variable(self.node(node), id, self.lengths[node], variables)?;
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

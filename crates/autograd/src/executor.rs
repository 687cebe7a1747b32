//! What compiles graphs and runs them: the contract, and the one executor of this crate.

use regraft_tensor::Detail;

use crate::op::{Forward, Operand, Output, Run, operand_type, result_type};
use crate::passes::optimize;
use crate::{Constant, DataType, Feed, Nodes, Op, Program, Result, Variables, Workspace};

/// What compiles graphs and runs them: the CPU ([`Cpu`]), another device, an interpreter.
///
/// An executor knows ops by identity, by their type or by name and
/// [attributes](crate::Op::attributes), and chooses the kernels that it has for them. For an op that it
/// does not know, one of a user's own, it [evaluates](evaluate) the kernel that every op has.
///
/// ```
/// use regraft_autograd::{Cpu, Executor, Feed, Graph, Run, Tensor};
///
/// fn first<E: Executor>(executor: &E, graph: &Graph, y: regraft_autograd::Var<'_>, x: &[f32]) -> f32 {
///     let program = executor.compile(&graph.nodes_for(&[y]));
///     let mut workspace = executor.workspace(&program);
///     let none: [Tensor; 0] = [];
///     executor.run(&mut workspace, 1, &[Feed::F32(x)], &none, Run::default()).expect("x fits");
///     executor.output(&workspace, 0).f32().expect("floats")[0]
/// }
///
/// let graph = Graph::new();
/// let y = graph.samples("x", &[2]).sum(&[1]);
/// assert_eq!(first(&Cpu, &graph, y, &[1.0, 2.0]), 3.0);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an executor of graphs",
    note = "pass `regraft_autograd::Cpu` or implement `regraft_autograd::Executor`"
)]
pub trait Executor {
    /// A compiled graph: immutable, and shared by threads.
    type Program: Clone + Send + Sync;
    /// The memory that one run at a time writes.
    type Workspace: Send;

    /// Makes nodes ready to run. Which passes it applies is the executor's matter.
    fn compile(&self, nodes: &Nodes) -> Self::Program;

    /// Memory to run a program in.
    fn workspace(&self, program: &Self::Program) -> Self::Workspace;

    /// Computes the outputs for `batch` samples from the fed inputs (by position) and variables.
    ///
    /// # Errors
    /// [`Error::Feed`](crate::Error::Feed) and [`Error::DataType`](crate::Error::DataType) if a fed value
    /// is missing, of the wrong type or length, or out of the bounds that an op checks.
    fn run(
        &self,
        workspace: &mut Self::Workspace,
        batch: usize,
        feeds: &[Feed<'_>],
        variables: &dyn Variables,
        run: Run,
    ) -> Result<()>;

    /// The value of output `index` after the last run, in row-major order.
    ///
    /// # Panics
    /// If there are not so many outputs.
    fn output<'w>(&self, workspace: &'w Self::Workspace, index: usize) -> Feed<'w>;
}

/// The CPU: buffers are planned, products are fused with what follows them, constant weights are packed
/// once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu;

impl Executor for Cpu {
    type Program = Program;
    type Workspace = Workspace;

    fn compile(&self, nodes: &Nodes) -> Program {
        Program::from_nodes(optimize(nodes))
    }

    fn workspace(&self, program: &Program) -> Workspace {
        program.workspace()
    }

    fn run(
        &self,
        workspace: &mut Workspace,
        batch: usize,
        feeds: &[Feed<'_>],
        variables: &dyn Variables,
        run: Run,
    ) -> Result<()> {
        workspace.run(batch, feeds, variables, run)
    }

    fn output<'w>(&self, workspace: &'w Workspace, index: usize) -> Feed<'w> {
        workspace.value(index)
    }
}

/// The value of `op`, of sizes `shape` and of type `data_type`, by the kernel that it has itself.
///
/// # Errors
/// What the shape rule could not know: an index out of range, say.
pub fn evaluate(
    op: &dyn Op,
    operands: &[&Constant],
    shape: &[usize],
    data_type: DataType,
    run: Run,
) -> Result<Constant, Detail> {
    let operands: Vec<Operand<'_>> = operands
        .iter()
        .enumerate()
        .map(|(index, value)| Operand {
            shape: value.shape(),
            data_type: operand_type(op, index, value.data_type()),
            data: value.words(),
        })
        .collect();
    let mut data = vec![0.0; shape.iter().product()];
    let output = Output {
        shape,
        data_type: result_type(op, operands.len(), data_type),
        data: &mut data,
    };
    let operands = &operands;
    op.forward(Forward { operands, run }, output)?;
    Ok(Constant::of_words(data_type, shape, data))
}

//! What an op is: a shape rule, a forward kernel call, and a gradient written as other graph nodes.
//! Every op of this crate is one file under `ops/` that implements [`Op`]; an op of your own is the
//! same thing in your crate.

use std::{any::Any, fmt};

use regraft_tensor::Detail;
use regraft_tensor::kernels::matmul::EpilogueActivation;
use regraft_tensor::kernels::random::Key;

use crate::{Attributes, Shape, Var};

/// The type of a node's elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DataType {
    /// 32-bit floats.
    #[default]
    F32,
    /// 32-bit integers: class labels, token ids.
    I32,
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DataType::F32 => "float32",
            DataType::I32 => "int32",
        })
    }
}

/// An operation of the data-flow graph, from any number of operands to one value.
///
/// Three things stand side by side, and the op's settings as [`attributes`](Op::attributes): the rule for the result's [`shape`](Op::shape), the
/// [`forward`](Op::forward) computation, and the [`gradient`](Op::gradient) as other nodes of the
/// graph (so that gradients of gradients exist too).
///
/// ```
/// use regraft_autograd::{Forward, Gradient, Graph, Op, Output, Shape, Var, attributes, gradcheck};
/// use regraft_tensor::{Detail, Tensor};
///
/// /// y = x³
/// #[derive(Debug)]
/// struct Cube;
///
/// impl Op for Cube {
///     attributes!();
///
///     fn name(&self) -> &str {
///         "cube"
///     }
///     fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
///         Ok(operands[0].clone())
///     }
///     fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
///         for (y, x) in output.f32().iter_mut().zip(operands.f32(0)) {
///             *y = x * x * x;
///         }
///         Ok(())
///     }
///     fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
///         let x = at.operand(0);
///         vec![Some(at.cotangent() * x * x * 3.0)]
///     }
/// }
///
/// let x = Tensor::new([3], vec![-1.0, 0.5, 2.0])?;
/// gradcheck(|graph, x| graph.apply(Cube, x), &[x])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an op of the data-flow graph",
    note = "implement `regraft_autograd::Op`: `name`, `attributes`, `shape`, `forward` and, if it is differentiable, `gradient`"
)]
pub trait Op: Any + fmt::Debug + Send + Sync {
    /// The name in drawings and error messages, in lower case.
    fn name(&self) -> &str;

    /// The name of the op's type, with its crate and its modules.
    fn type_name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }

    /// The settings of the op, all of them: together with the type they are its identity. Two ops of
    /// one type whose attributes are equal must compute the same from the same operands, since passes
    /// make one of them where they have the same operands ([`share`](crate::passes::share)); drawings
    /// print them. Declare them with [`attributes!`](crate::attributes), which takes all fields.
    ///
    /// The default `None` says nothing of the settings (a closure, an array that is not to be
    /// compared): such an op is never taken for another.
    fn attributes(&self) -> Option<Attributes> {
        None
    }

    /// What the op is in another process, together with its [`type_name`](Op::type_name): its settings, and the
    /// elements of all arrays that it holds itself, which are given to `held`. The default says the
    /// [`attributes`](Op::attributes) alone; an op that holds arrays has none, and overrides it.
    fn identity(&self, _held: &mut dyn FnMut(&[f32])) -> Option<Attributes> {
        self.attributes()
    }

    /// The shape of the result, or why the operands do not fit.
    ///
    /// # Errors
    /// What was expected and what was received; the graph adds where.
    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail>;

    /// The element type of the result; floats unless stated.
    fn data_type(&self) -> DataType {
        DataType::F32
    }

    /// The element type that operand `index` must have; floats unless stated.
    fn operand_type(&self, _index: usize) -> DataType {
        DataType::F32
    }

    /// Whether elements of operand `index` are only moved to the result, whatever they are. Such
    /// operands may be of any element type, the same for all of them, and the result is of that type
    /// then, whatever [`data_type`](Op::data_type) and [`operand_type`](Op::operand_type) say. While
    /// the program runs their elements and the result's are given as floats, whose bits must not
    /// change.
    fn moves(&self, _index: usize) -> bool {
        false
    }

    /// Computes the result into `output`, overwriting what is there.
    ///
    /// # Errors
    /// What the shape rule could not know: an index out of range, say. The program adds where.
    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail>;

    /// For each operand the gradient of the loss with respect to it, as nodes of the graph, given
    /// the gradient with respect to the result ([`Gradient::cotangent`]): as many as there are
    /// operands. `None` is a statement: no gradient passes there, on purpose (a function that is
    /// constant between its jumps, a comparison), or [`Gradient::wanted`] says that nobody asks, since
    /// a frozen operand must cost nothing. An op through which no gradient passes at all returns
    /// [`Gradient::none`].
    ///
    /// The default, an empty list, states nothing: that no gradient is declared. On a path from the loss
    /// to something that is asked for, [`Graph::grad`](crate::Graph::grad) makes it an error that names
    /// the op. Integers have no gradient, so an op on integers alone need declare none.
    fn gradient<'g>(&self, _at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        Vec::new()
    }

    /// Whether row `i` of the result (axis 0) depends on row `i` of the batched operands alone, bit
    /// for bit the same whatever the other rows are and however many. Only such ops can be part of
    /// the frozen prefix whose outputs are cached. The default is the safe `false`.
    fn keeps_samples_apart(&self) -> bool {
        false
    }

    /// Whether each run draws new random numbers (from [`Forward::key`]).
    fn is_random(&self) -> bool {
        false
    }

    /// Whether the result may be written over operand 0, which then has the same shape and type.
    /// If so, [`forward_in_place`](Op::forward_in_place) must be there.
    fn works_in_place(&self) -> bool {
        false
    }

    /// As [`forward`](Op::forward), with the elements of operand 0 in `output` (and none in
    /// `operands`).
    ///
    /// # Errors
    /// As [`forward`](Op::forward).
    fn forward_in_place(&self, _operands: Forward<'_>, _output: Output<'_>) -> Result<(), Detail> {
        unreachable!("{} does not work in place", self.name())
    }

    /// Whether the op broadcasts its operands to one shape itself. A pass then leaves out the
    /// [`BroadcastTo`](crate::ops::BroadcastTo) in front of an operand if the shape rule allows it,
    /// so this must not change a number.
    fn broadcasts(&self) -> bool {
        false
    }

    /// The activation that the op applies to its only operand, if matrix products and convolutions can
    /// apply it to their result in one pass with it; the bits must be the same.
    fn epilogue(&self) -> Option<EpilogueActivation> {
        None
    }

    /// How many elements the op has itself and reads at every run, such as packed weights.
    fn constant_elements(&self) -> usize {
        0
    }

    /// How many elements of its operands the op reads again, beyond once, for each part of a batch: a recurrence its kernel at
    /// every step. By it is known how many samples go together. None by default.
    fn elements_read_again(&self, _operands: &[&Shape]) -> usize {
        0
    }

    /// Multiplications and additions for concrete sizes, as [`Program::flops`](crate::Program::flops) adds them up.
    fn flops(&self, _operands: &[&[usize]], output: &[usize]) -> u64 {
        output.iter().product::<usize>() as u64
    }
}

/// As what an op reads operand `index`, which is of this type: what it only moves, as floats.
pub(crate) fn operand_type(op: &dyn Op, index: usize, data_type: DataType) -> DataType {
    match op.moves(index) {
        true => DataType::F32,
        false => data_type,
    }
}

/// As what an op of so many operands writes its result, which is of this type.
pub(crate) fn result_type(op: &dyn Op, operands: usize, data_type: DataType) -> DataType {
    match (0..operands).any(|index| op.moves(index)) {
        true => DataType::F32,
        false => data_type,
    }
}

/// One operand of an op while a program runs.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// The sizes of its axes.
    pub shape: &'a [usize],
    pub(crate) data_type: DataType,
    /// Its elements; integers are stored in the same 32 bits.
    pub(crate) data: &'a [f32],
}

/// The operands of an op while a program runs.
#[derive(Clone, Copy, Debug)]
pub struct Forward<'a> {
    pub(crate) operands: &'a [Operand<'a>],
    pub(crate) run: Run,
}

/// What distinguishes one run of a program from another apart from its operands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Where random numbers start: the same seed gives the same numbers.
    pub seed: u64,
    /// The number of the run (a training step), so that each draws new numbers.
    pub step: u64,
}

impl<'a> Forward<'a> {
    /// The number of operands.
    pub fn len(&self) -> usize {
        self.operands.len()
    }

    /// Whether there are no operands.
    pub fn is_empty(&self) -> bool {
        self.operands.is_empty()
    }

    /// The sizes of operand `index`.
    pub fn shape(&self, index: usize) -> &'a [usize] {
        self.operands[index].shape
    }

    /// The elements of operand `index`, which must be floats.
    ///
    /// # Panics
    /// If they are integers, as [`Op::operand_type`] says then.
    pub fn f32(&self, index: usize) -> &'a [f32] {
        self.words(index, DataType::F32)
    }

    /// The elements of operand `index`, which must be integers.
    ///
    /// # Panics
    /// If they are floats, as [`Op::operand_type`] says unless told otherwise.
    pub fn i32(&self, index: usize) -> &'a [i32] {
        bytemuck::cast_slice(self.words(index, DataType::I32))
    }

    fn words(&self, index: usize, data_type: DataType) -> &'a [f32] {
        let operand = &self.operands[index];
        let holds = operand.data_type;
        assert!(
            holds == data_type,
            "operand {index} holds {holds}, read as {data_type}: see `Op::operand_type`"
        );
        operand.data
    }

    /// The key of random stream `stream` in this run.
    pub fn key(&self, stream: u64) -> Key {
        Key {
            seed: self.run.seed,
            stream,
        }
    }

    /// The number of this run (a training step).
    pub fn step(&self) -> u64 {
        self.run.step
    }
}

/// Where an op writes its result.
#[derive(Debug)]
pub struct Output<'a> {
    /// The sizes of the result.
    pub shape: &'a [usize],
    pub(crate) data_type: DataType,
    pub(crate) data: &'a mut [f32],
}

impl<'a> Output<'a> {
    /// The elements, to be overwritten.
    ///
    /// # Panics
    /// If the op's [`data_type`](Op::data_type) is integers.
    pub fn f32(self) -> &'a mut [f32] {
        self.words(DataType::F32)
    }

    /// The elements of an op whose [`data_type`](Op::data_type) is integers, to be overwritten.
    ///
    /// # Panics
    /// If it is floats.
    pub fn i32(self) -> &'a mut [i32] {
        bytemuck::cast_slice_mut(self.words(DataType::I32))
    }

    fn words(self, data_type: DataType) -> &'a mut [f32] {
        let holds = self.data_type;
        assert!(
            holds == data_type,
            "the result holds {holds}, written as {data_type}: see `Op::data_type`"
        );
        self.data
    }
}

/// What an op's gradient is made of: the nodes around it.
#[derive(Debug)]
pub struct Gradient<'g, 'a> {
    pub(crate) operands: &'a [Var<'g>],
    pub(crate) result: Var<'g>,
    pub(crate) cotangent: Var<'g>,
    pub(crate) wanted: &'a [bool],
}

impl<'g> Gradient<'g, '_> {
    /// Operand `index` of the op.
    pub fn operand(&self, index: usize) -> Var<'g> {
        self.operands[index]
    }

    /// All operands.
    pub fn operands(&self) -> &[Var<'g>] {
        self.operands
    }

    /// The op's own result.
    pub fn result(&self) -> Var<'g> {
        self.result
    }

    /// The gradient of the loss with respect to the result; it has the result's shape.
    pub fn cotangent(&self) -> Var<'g> {
        self.cotangent
    }

    /// Whether anybody asks for the gradient with respect to operand `index`.
    pub fn wanted(&self, index: usize) -> bool {
        self.wanted[index]
    }

    /// The statement that no gradient passes: none for any operand.
    pub fn none(&self) -> Vec<Option<Var<'g>>> {
        vec![None; self.operands.len()]
    }

    /// `gradient()` if operand `index` is wanted.
    pub fn when(&self, index: usize, gradient: impl FnOnce() -> Var<'g>) -> Option<Var<'g>> {
        self.wanted(index).then(gradient)
    }
}

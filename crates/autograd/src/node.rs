//! A node of the graph: a value, and where it comes from.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use regraft_tensor::{IntTensor, Tensor};

use crate::{DataType, Op, Origin, Shape};

/// A node's number; operands have smaller numbers than the node that uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// What tells a variable from all others that a program reads: a number chosen by hand, such as the
/// position in a slice of tensors, or one that nothing else has ([`unique`](Self::unique)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariableId(pub usize);

impl VariableId {
    /// One that nothing else in this process has: variables of several models can then stand in one
    /// graph. Numbers chosen by hand are below these.
    pub fn unique() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(1 << (usize::BITS - 1));
        VariableId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Where a node's value comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Fed at each run, by position.
    Input {
        /// The position among the program's inputs.
        index: usize,
    },
    /// A fixed array: a frozen weight, a number in a formula.
    Constant(Constant),
    /// Read at each run from the store of variables: a weight that is trained, a state.
    Variable(VariableId),
    /// Computed from other nodes.
    Op {
        /// The operation.
        op: Arc<dyn Op>,
        /// Its operands.
        operands: Vec<NodeId>,
    },
}

/// A fixed array.
#[derive(Clone, Debug)]
pub enum Constant {
    /// Of floats.
    F32(Tensor),
    /// Of integers.
    I32(IntTensor),
}

impl Constant {
    /// An array of elements as they are stored, 32 bits each.
    pub(crate) fn of_words(data_type: DataType, shape: &[usize], words: Vec<f32>) -> Self {
        const FIT: &str = "as many elements as the shape has";
        match data_type {
            DataType::F32 => Constant::F32(Tensor::new(shape, words).expect(FIT)),
            DataType::I32 => {
                let integers = bytemuck::cast_vec(words);
                Constant::I32(IntTensor::new(shape, integers).expect(FIT))
            }
        }
    }

    /// The elements as stored, 32 bits each.
    pub(crate) fn words(&self) -> &[f32] {
        match self {
            Constant::F32(tensor) => tensor.as_slice(),
            Constant::I32(tensor) => bytemuck::cast_slice(tensor.as_slice()),
        }
    }

    /// The sizes of its axes.
    pub fn shape(&self) -> &[usize] {
        match self {
            Constant::F32(tensor) => tensor.shape(),
            Constant::I32(tensor) => tensor.shape(),
        }
    }

    /// The array of floats, if it is one.
    pub fn f32(&self) -> Option<&Tensor> {
        match self {
            Constant::F32(tensor) => Some(tensor),
            Constant::I32(_) => None,
        }
    }

    /// The element type.
    pub fn data_type(&self) -> DataType {
        match self {
            Constant::F32(_) => DataType::F32,
            Constant::I32(_) => DataType::I32,
        }
    }

    /// The single value, if this is a floating-point number.
    pub fn as_number(&self) -> Option<f32> {
        match self {
            Constant::F32(tensor) if tensor.ndim() == 0 => Some(tensor.as_slice()[0]),
            _ => None,
        }
    }
}

/// A value of the graph.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where the value comes from.
    pub source: Source,
    /// Its sizes.
    pub shape: Shape,
    /// Its element type.
    pub data_type: DataType,
    /// The name given to it, or the path of the layer that made it; of a gradient that was asked for,
    /// `d loss / d head/kernel`.
    pub name: String,
    /// Whether differentiation made it.
    pub backward: bool,
    /// Of a constant, where its value comes from, if that is known.
    pub origin: Option<Origin>,
}

impl Node {
    /// The operands; empty for leaves.
    pub fn operands(&self) -> &[NodeId] {
        match &self.source {
            Source::Op { operands, .. } => operands,
            _ => &[],
        }
    }

    /// Where it is found: its name, else that of its op.
    pub(crate) fn place(&self) -> &str {
        match (self.name.as_str(), self.op()) {
            ("", Some(op)) => op.name(),
            (name, _) => name,
        }
    }

    /// The op, if it is computed by one.
    pub fn op(&self) -> Option<&Arc<dyn Op>> {
        match &self.source {
            Source::Op { op, .. } => Some(op),
            _ => None,
        }
    }

    /// The op, if it is an `O`.
    pub fn op_as<O: Op>(&self) -> Option<&O> {
        let op: &dyn std::any::Any = &**self.op()?;
        op.downcast_ref()
    }

    /// Where the value of a constant comes from, if that is known.
    pub(crate) fn origin(&self) -> Option<Origin> {
        let number = || self.constant()?.as_number().map(Origin::of_number);
        self.origin.clone().or_else(number)
    }

    /// The constant, if it is one.
    pub fn constant(&self) -> Option<&Constant> {
        match &self.source {
            Source::Constant(constant) => Some(constant),
            _ => None,
        }
    }
}

#![doc = include_str!("../README.md")]

mod attributes;
mod draw;
mod error;
mod grad;
mod gradcheck;
mod graph;
mod node;
mod op;
pub mod ops;
pub mod passes;
mod program;
mod shape;

pub use attributes::{Attribute, Attributes};
pub use error::{Error, Result};
pub use grad::Gradients;
pub use gradcheck::gradcheck;
pub use graph::{Graph, Var};
pub use node::{Constant, Node, NodeId, Nodes, Source, VariableId};
pub use op::{DataType, Forward, Gradient, Op, Operand, Output, Run};
pub use program::{Feed, Program, Variables};
pub use regraft_tensor::{IntTensor, Tensor};
pub use shape::{Dim, Shape};

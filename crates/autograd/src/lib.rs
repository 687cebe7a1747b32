#![doc = include_str!("../README.md")]

mod attributes;
mod draw;
mod error;
mod executor;
mod feed;
mod grad;
mod gradcheck;
mod graph;
mod node;
mod nodes;
mod op;
pub mod ops;
mod origin;
pub mod passes;
mod program;
mod shape;
mod svg;
mod trace;
mod workspace;

pub use attributes::{Attribute, Attributes};
pub use error::{Error, Result};
pub use executor::{Cpu, Executor, evaluate};
pub use feed::{Feed, Variables};
pub use grad::Gradients;
pub use gradcheck::gradcheck;
pub use graph::{Graph, Var};
pub use node::{Constant, Node, NodeId, Source, VariableId};
pub use nodes::Nodes;
pub use op::{DataType, Forward, Gradient, Op, Operand, Output, Run};
pub use origin::Origin;
pub use program::Program;
pub use regraft_tensor::{IntTensor, Tensor};
pub use shape::{Dim, Shape};
pub use trace::Trace;
pub use workspace::Workspace;

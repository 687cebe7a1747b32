//! The ops: one file each, with the formula, the shape rule, the kernel call, the gradient and the
//! method of [`Var`](crate::Var) that applies it side by side.

mod alias;
mod arithmetic;
mod broadcast_to;
mod functions;
mod matmul;
mod mean;
mod one_hot;
mod relu;
mod reshape;
mod softmax;
mod softmax_cross_entropy;
mod sum;
mod unary;
mod zip;

pub use alias::Alias;
pub use arithmetic::{Add, Divide, Multiply, Negate, Subtract};
pub use broadcast_to::BroadcastTo;
pub use functions::{Exp, Sigmoid, Sqrt, Square, Tanh};
pub use matmul::{FusedMatMul, MatMul, MatMulWeightGradient};
pub use mean::Mean;
pub use one_hot::OneHot;
pub use relu::{Relu, ReluGradient};
pub use reshape::Reshape;
pub use softmax::Softmax;
pub use softmax_cross_entropy::{SoftmaxCrossEntropy, SoftmaxCrossEntropyGradient};
pub use sum::{Sum, SumTo};
pub use unary::{Map, Unary};
pub use zip::{Binary, Zip};

//! The ops: one file each, with the formula, the shape rule, the kernel call, the gradient and the
//! method of [`Var`](crate::Var) that applies it side by side.

mod activations;
mod alias;
mod argmax;
mod arithmetic;
mod average_pool;
mod batch_matmul;
mod batch_normalization;
mod broadcast_to;
mod cast;
mod clip;
mod comparison;
mod concatenate;
mod convolution;
mod extremes;
mod functions;
mod fused_convolution;
mod gather;
mod into_var;
mod log_softmax;
mod matmul;
mod max;
mod max_pool;
mod mean;
mod one_hot;
mod pad;
mod permute;
mod power;
mod random;
mod relu;
mod reshape;
mod resize;
mod select;
mod slice;
mod softmax;
mod softmax_cross_entropy;
mod sparsemax;
mod staircase;
mod stop_gradient;
mod sum;
mod unary;
mod variance;
mod zip;

pub use activations::{Gelu, GeluTanh, LeakyRelu, Silu, SiluGradient};
pub use alias::Alias;
pub use argmax::Argmax;
pub use arithmetic::{Add, Divide, Multiply, Negate, Subtract};
pub use average_pool::{AveragePool, AveragePoolGradient};
pub use batch_matmul::BatchMatMul;
pub use batch_normalization::{
    BatchMoments, BatchNormalize, BatchNormalizeGradient, BatchNormalizeSums,
};
pub use broadcast_to::BroadcastTo;
pub use cast::{Cast, Truncate};
pub use clip::{Clip, ClipGradient};
pub use comparison::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
pub use concatenate::Concatenate;
pub use convolution::{Convolution, ConvolutionInputGradient, ConvolutionWeightGradient};
pub use extremes::{Maximum, Minimum};
pub use functions::{
    Abs, Cos, Erf, Exp, Expm1, Log, Log1p, Powf, Reciprocal, Rsqrt, Sigmoid, Sin, Softplus, Sqrt,
    Square, Tanh,
};
pub use fused_convolution::FusedConvolution;
pub use gather::{Gather, ScatterAdd};
pub use into_var::IntoVar;
pub use log_softmax::{LogSoftmax, LogSumExp};
pub use matmul::{FusedMatMul, MatMul, MatMulWeightGradient};
pub use max::{Max, Min};
pub use max_pool::{MaxPool, MaxPoolGradient, PickAtMax};
pub use mean::Mean;
pub use one_hot::OneHot;
pub use pad::{Crop, Pad};
pub use permute::Permute;
pub use power::Power;
pub use random::{Distribution, Random};
pub use relu::{Relu, ReluGradient};
pub use reshape::Reshape;
pub use resize::{Resize, ResizeGradient};
pub use select::Select;
pub use slice::Slice;
pub use softmax::Softmax;
pub use softmax_cross_entropy::{SoftmaxCrossEntropy, SoftmaxCrossEntropyGradient};
pub use sparsemax::Sparsemax;
pub use staircase::Staircase;
pub use stop_gradient::StopGradient;
pub use sum::{Sum, SumTo};
pub use unary::{Map, Unary};
pub use variance::Variance;
pub use zip::{Binary, Zip};

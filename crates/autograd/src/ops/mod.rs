//! The ops: one file each, with the formula, the shape rule, the kernel call, the gradient and the
//! method of [`Var`](crate::Var) that applies it side by side.

mod activations;
mod alias;
mod argmax;
mod arithmetic;
mod assign;
mod attention;
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
mod integers;
mod into_var;
mod linear_systems;
mod log_softmax;
mod low_precision;
mod matmul;
mod max;
mod max_pool;
mod mean;
mod misfit;
mod one_hot;
mod order;
mod pad;
mod permute;
mod pick;
mod power;
mod random;
mod recurrence;
mod relu;
mod remainder;
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
mod trigonometry;
mod unary;
mod variance;
mod winograd;
mod zip;

pub use activations::{Gelu, GeluTanh, LeakyRelu, Silu, SiluGradient};
pub use alias::Alias;
pub use argmax::Argmax;
pub use arithmetic::{Add, Divide, Multiply, Negate, Subtract};
pub use assign::Assign;
pub use attention::{AllMasked, ScaledDotProductAttention, ScaledDotProductAttentionGradient};
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
    Abs, Cos, Erf, Erfinv, Exp, Expm1, Log, Log1p, Powf, Reciprocal, Rsqrt, Sigmoid, Sin, Softplus,
    Sqrt, Square, Tanh,
};
pub use fused_convolution::FusedConvolution;
pub use gather::{Gather, ScatterAdd};
pub use integers::Integers;
pub use into_var::IntoVar;
pub use linear_systems::{Cholesky, Determinant, LogDeterminant, Solve};
pub use log_softmax::{LogSoftmax, LogSumExp};
pub use low_precision::LowPrecision;
pub use matmul::{FusedMatMul, MatMul, MatMulWeightGradient};
pub use max::{Max, Min};
pub use max_pool::{MaxPool, MaxPoolGradient, PickAtMax};
pub use mean::Mean;
pub(crate) use misfit::Misfit;
pub use one_hot::OneHot;
pub use order::{AddAlong, Argsort, TakeAlong};
pub use pad::{Crop, Pad};
pub use permute::Permute;
pub use pick::{AddPicked, Pick};
pub use power::Power;
pub use random::{Distribution, Random};
pub use recurrence::{Cell, Keep, Recurrence, RecurrenceGradient, Scanned};
pub use relu::{Relu, ReluGradient};
pub use remainder::FloorModulo;
pub use reshape::Reshape;
pub use resize::{Resize, ResizeGradient};
pub use select::Select;
pub use slice::Slice;
pub use softmax::Softmax;
pub use softmax_cross_entropy::{
    CrossEntropyGradientOfBoth, CrossEntropyOfBoth, SoftmaxAndCrossEntropy, SoftmaxCrossEntropy,
    SoftmaxCrossEntropyGradient,
};
pub use sparsemax::Sparsemax;
pub use staircase::Staircase;
pub use stop_gradient::StopGradient;
pub use sum::{Sum, SumTo};
pub use trigonometry::{Arccos, Arccosh, Arcsin, Arcsinh, Arctan, Arctanh, Cbrt, Cosh, Sinh, Tan};
pub use unary::{Map, Unary};
pub use variance::Variance;
pub use winograd::WinogradConvolution;
pub use zip::{Binary, Zip};

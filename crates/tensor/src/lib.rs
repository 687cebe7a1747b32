//! N-dimensional arrays over [`ndarray`], and the kernels of Regraft.
//!
//! A [`Tensor`] is a row-major `f32` array of any rank that is cheap to clone (clones share memory
//! until one of them is written). An [`IntTensor`] is the same over `i32`, for labels and token ids.
//! Both convert from and to `ndarray` arrays without copying where the layout allows it.
//!
//! ```
//! use ndarray::array;
//! use regraft_tensor::Tensor;
//!
//! let tensor = Tensor::from(array![[1.0, 2.0], [3.0, 4.0]]);
//! assert_eq!(tensor.shape(), [2, 2]);
//! assert_eq!(tensor.as_slice(), [1.0, 2.0, 3.0, 4.0]);
//! ```

mod error;
pub mod kernels;
mod names;
mod ops;
mod tensor;

pub use error::{Detail, Error, Result};
pub use names::{one_line, snake_case};
pub use ndarray;
pub use tensor::{IntTensor, Tensor, TensorBase};

/// Whether the kernels are built with optimisation. Without it they are many times slower.
pub const OPTIMISED: bool = cfg!(optimised);

/// The examples of the README, compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

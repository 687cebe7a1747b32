#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod cholesky;
mod error;
mod factor;
mod left_out;
mod numbers;
mod product;
mod ridge;
mod samples;
mod solved;
#[cfg(test)]
mod tests;
mod tridiagonal;

pub use error::{Error, Result};
pub use left_out::{Bin, Calibration, ClassEstimate, Estimate, LeftOut, Suspect};
pub use ridge::Ridge;
pub use samples::ClassWeight;
pub use solved::{Choice, HeadKind, Solved};

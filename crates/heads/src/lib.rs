#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod best;
mod bytes;
mod cholesky;
mod conformal;
mod error;
mod estimate;
mod factor;
mod factorised;
mod features;
mod known;
mod lda;
mod learner;
mod left_out;
mod logistic;
mod nearest_mean;
mod numbers;
mod options;
mod product;
mod ridge;
mod samples;
mod search;
mod solved;
#[cfg(test)]
mod tests;
mod transferability;
mod tridiagonal;
mod unknown;
mod words;

pub use best::BestHead;
pub use conformal::AnswerSet;
pub use error::{Error, Result};
pub use estimate::Estimate;
pub use factorised::Factorised;
pub use features::Features;
pub use lda::Lda;
pub use learner::{Learner, Lesson};
pub use left_out::{Bin, Calibration, ClassEstimate, LeftOut, Suspect};
pub use logistic::Logistic;
pub use nearest_mean::NearestMean;
pub use ridge::Ridge;
pub use samples::ClassWeight;
pub use solved::{Choice, HeadKind, Solved};
pub use transferability::Transferability;
pub use unknown::{Unknown, UnknownScore};

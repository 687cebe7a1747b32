//! Training, evaluation and prediction: from the caller's data to the steps, and what is told in between.

pub(crate) mod batches;
pub mod callbacks;
mod classification;
pub(crate) mod compile;
pub(crate) mod compiled_metrics;
#[cfg(feature = "plot")]
pub mod curves;
pub(crate) mod evaluate;
pub(crate) mod feature_cache;
pub(crate) mod feeds;
pub(crate) mod fit;
pub mod history;
pub(crate) mod input;
pub(crate) mod inputs;
pub(crate) mod named;
pub(crate) mod objective;
pub(crate) mod parameters;
pub(crate) mod plan;
pub(crate) mod predict;
pub(crate) mod prepare;
pub mod progress;
pub(crate) mod rates;
mod session;
pub(crate) mod steps;
mod unoptimised;

//! Training, evaluation and prediction: from the caller's data to the steps, and what is told in between.

pub(crate) mod arrays;
pub(crate) mod batches;
pub mod callbacks;
mod classification;
mod compile;
pub(crate) mod compiled;
pub(crate) mod compiled_metrics;
#[cfg(feature = "plot")]
pub mod curves;
mod evaluate;
pub(crate) mod feature_cache;
mod feeds;
mod fit;
pub(crate) mod gather;
pub mod history;
pub(crate) mod input;
pub(crate) mod inputs;
pub(crate) mod named;
mod number;
pub(crate) mod objective;
pub(crate) mod options;
pub(crate) mod parameters;
pub(crate) mod plan;
pub(crate) mod predict;
mod prepare;
pub mod progress;
mod protocol;
pub(crate) mod rates;
pub(crate) mod read_batch;
pub(crate) mod samples;
pub(crate) mod scores;
mod session;
pub(crate) mod steps;
mod totals;
pub mod train_step;
mod unoptimised;
mod update;

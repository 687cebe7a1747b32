//! Transfer learning: load what was trained anywhere, freeze it, graft a head, train only that.

#[cfg(feature = "plot")]
pub mod curves;
pub mod history;
pub mod metrics;
pub mod progress;

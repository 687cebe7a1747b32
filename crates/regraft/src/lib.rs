//! Transfer learning: load what was trained anywhere, freeze it, graft a head, train only that.

pub mod metrics;

//! Models without weights.

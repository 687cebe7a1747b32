//! Weights with a low-rank update beside them: merged, never left out.

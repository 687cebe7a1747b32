//! Metrics with settings come back with them, and with the optimizer.

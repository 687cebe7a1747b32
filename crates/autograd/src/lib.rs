//! The data-flow graph of Regraft: ops, gradients, passes and the executor.

//! A word to those whose kernels were built without optimisation, as `cargo run` does in a new project:
//! training is 15 to 70 times slower then, and nothing else says why.

use std::sync::Once;

use crate::Verbosity;

/// What is said.
const NOTE: &str = "\
note: the kernels are built without optimisation, so this is many times slower than it could be.
      Run with `--release`, or add to your Cargo.toml:
          [profile.dev.package.\"*\"]
          opt-level = 3";

/// Says so on the standard error, once per process, unless silence was asked for.
pub(crate) fn note(verbosity: Verbosity) {
    static SAID: Once = Once::new();
    if !regraft_tensor::OPTIMISED && verbosity != Verbosity::Silent {
        SAID.call_once(|| eprintln!("{NOTE}"));
    }
}

//! How long something takes.

use std::time::Duration;
#[cfg(not(target_arch = "wasm32"))]
use std::time::Instant;

/// The system's clock; in a browser, where the standard library has none, time stands still.
#[derive(Debug)]
pub(crate) struct Clock(#[cfg(not(target_arch = "wasm32"))] Instant);

impl Clock {
    #[cfg(not(target_arch = "wasm32"))]
    pub fn now() -> Self {
        Clock(Instant::now())
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    #[cfg(target_arch = "wasm32")]
    pub fn now() -> Self {
        Clock()
    }

    #[cfg(target_arch = "wasm32")]
    pub fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

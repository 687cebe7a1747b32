//! What tells a model as it is from the model as it was, and from every other.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that is another one after each change, and that no two models have in common: a program
/// that was written from a model knows by it whether it is still that model's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    number: u64,
    /// How often values were opened to training since then.
    writes: u64,
}

impl Revision {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Revision {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            writes: 0,
        }
    }

    /// Something has changed.
    pub fn renew(&mut self) {
        *self = Self::new();
    }

    /// Training may write values.
    pub fn opened(&mut self) {
        self.writes += 1;
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn version(&self) -> (u64, u64) {
        (self.number, self.writes)
    }
}

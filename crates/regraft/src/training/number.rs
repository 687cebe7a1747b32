//! Numbers that tell things apart which look the same.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that nothing else has.
pub(crate) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

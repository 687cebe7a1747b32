//! Work for which one thread is enough, because others divide what is around it.

use std::cell::Cell;

thread_local! {
    /// Whether this thread works alone just now.
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Does `work` with kernels that use this thread alone: for those who have divided the work themselves,
/// samples among threads, say. Results are the same, bit for bit.
pub fn on_one_thread<R>(work: impl FnOnce() -> R) -> R {
    /// Puts back what was, also after a panic.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _before = Before(ALONE.replace(true));
    work()
}

/// How many threads kernels may use here.
pub(super) fn available() -> usize {
    match ALONE.get() {
        true => 1,
        false => rayon::current_num_threads(),
    }
}

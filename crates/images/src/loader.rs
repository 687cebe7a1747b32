//! Work on numbered items by several threads, whose results arrive in the order of the numbers.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Does `work` for each number below `items` on some threads, and gives the results to `each` in order, on the
/// calling thread. So `each` may compute with one result while the next are made. At most four results for each
/// worker wait or are being made: memory is bounded, however slow `each` is. With 0 workers there is one for each
/// processor.
///
/// The order, and so whatever `each` does, is the same for any number of workers. When `each` breaks, no further work
/// is begun.
///
/// ```
/// use std::ops::ControlFlow;
/// use regraft_images::ordered;
///
/// let mut squares = Vec::new();
/// let all = ordered(5, 3, |item| item * item, |_, square| {
///     squares.push(square);
///     ControlFlow::Continue(())
/// });
/// assert!(all.is_continue());
/// assert_eq!(squares, [0, 1, 4, 9, 16]);
/// ```
pub fn ordered<T: Send>(
    items: usize,
    workers: usize,
    work: impl Fn(usize) -> T + Sync,
    mut each: impl FnMut(usize, T) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let workers = match workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    }
    .min(items);
    let queue = Queue {
        state: Mutex::new(State {
            next: 0,
            taken: 0,
            done: BTreeMap::new(),
            stopped: false,
        }),
        changed: Condvar::new(),
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                // If the work panics, the others end, and the scope hands the panic on.
                let guard = Stop(&queue);
                while let Some(item) = queue.next(items, 4 * workers) {
                    let result = work(item);
                    queue.lock().done.insert(item, result);
                    queue.changed.notify_all();
                }
                std::mem::forget(guard);
            });
        }
        let _guard = Stop(&queue);
        for item in 0..items {
            let Some(result) = queue.take(item) else {
                return ControlFlow::Break(());
            };
            each(item, result)?;
        }
        ControlFlow::Continue(())
    })
}

struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    /// The number that is worked on next.
    next: usize,
    /// So many results have been taken out.
    taken: usize,
    done: BTreeMap<usize, T>,
    stopped: bool,
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The next number to work on, when there is room for its result.
    fn next(&self, items: usize, ahead: usize) -> Option<usize> {
        let mut state = self.lock();
        while !state.stopped && state.next < items && state.next >= state.taken + ahead {
            state = self.wait(state);
        }
        if state.stopped || state.next >= items {
            return None;
        }
        state.next += 1;
        Some(state.next - 1)
    }

    /// The result of a number; `None` if a worker has panicked.
    fn take(&self, item: usize) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(result) = state.done.remove(&item) {
                state.taken = item + 1;
                self.changed.notify_all();
                return Some(result);
            }
            if state.stopped {
                return None;
            }
            state = self.wait(state);
        }
    }
}

/// Tells everybody to end, when it is dropped.
struct Stop<'a, T>(&'a Queue<T>);

impl<T> Drop for Stop<'_, T> {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn order_and_bound_hold_for_any_number_of_workers() {
        for workers in [1, 2, 3, 16] {
            let (begun, mut seen) = (AtomicUsize::new(0), Vec::new());
            let work = |item: usize| {
                begun.fetch_add(1, Ordering::SeqCst);
                // Later items are sooner ready.
                std::thread::sleep(std::time::Duration::from_micros(
                    (50 - item as u64 % 50) * 10,
                ));
                item * 3
            };
            let all = ordered(200, workers, work, |item, result| {
                assert_eq!(result, item * 3);
                if item == 0 {
                    // Time to run ahead.
                    std::thread::sleep(std::time::Duration::from_millis(60));
                }
                assert!(
                    begun.load(Ordering::SeqCst) <= item + 1 + 4 * workers,
                    "bounded"
                );
                seen.push(item);
                ControlFlow::Continue(())
            });
            assert!(all.is_continue());
            assert_eq!(seen, (0..200).collect::<Vec<_>>());
        }
    }

    #[test]
    fn it_ends_when_told_to_and_when_anything_panics() {
        let mut last = 0;
        let all = ordered(
            1_000_000,
            4,
            |item| item,
            |item, _| {
                last = item;
                match item {
                    7 => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            },
        );
        assert!(all.is_break() && last == 7);
        assert!(ordered(0, 3, |item| item, |_, _| ControlFlow::Break(())).is_continue());
        let panics = |work: bool| {
            std::panic::catch_unwind(move || {
                ordered(
                    1000,
                    3,
                    |item| assert!(!work || item != 20),
                    |item, ()| {
                        assert!(work || item != 20);
                        ControlFlow::Continue(())
                    },
                )
            })
        };
        assert!(panics(true).is_err() && panics(false).is_err());
    }
}

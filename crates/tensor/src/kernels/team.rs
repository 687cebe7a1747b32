//! Threads that stand by for a while. A program of many short ops hands parts of each to the other threads; those that
//! sleep take tens of microseconds to wake, every time, which is as long as the part takes. Those that stand by begin
//! within one.
//!
//! ```text
//!  the thread that asks     op │ op │ op │            op │ op │ …
//!  one that stands by        op│  op│wait│op (alone)  op │ op │ … until the work is done
//! ```

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::alone::{available, on_one_thread};

/// How often somebody who waits looks again before others may have the processor.
const LOOKS: u32 = 1 << 12;

/// As many threads at most, the one that asks among them.
const MOST: usize = 64;

/// How many threads do work just now for which others would stand by.
static AT_WORK: AtomicUsize = AtomicUsize::new(0);

/// The one team: it is lent to one thread at a time. Its threads are not those of rayon: one of these that stands by
/// while it waits for a part of something else would keep that from its end.
static TEAM: Team = Team::new();

thread_local! {
    /// Whether this thread has the team.
    static HAS_TEAM: Cell<bool> = const { Cell::new(false) };
}

/// A piece of work in parts, of which `run(work, part)` does one.
#[derive(Clone, Copy)]
struct Job {
    work: *const (),
    run: unsafe fn(*const (), usize),
}

/// What the thread that asks and those that stand by share.
struct Team {
    job: UnsafeCell<Job>,
    /// For each thread the parts that it takes first, those that nobody has taken yet. Neighbours go to one thread, in
    /// each op the same: what it reads then is what it wrote before, and still in its cache.
    shares: [Share; MOST],
    /// How many threads have a share, the one that asks among them.
    threads: AtomicUsize,
    /// Parts that are done.
    done: AtomicUsize,
    /// What a part panicked with first.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// Whether there may be more jobs soon.
    is_lent: AtomicBool,
    size: Mutex<Size>,
    /// Rings when the team is lent.
    bell: Condvar,
}

/// A range of parts, `start << 32 | end`. In a line of the cache by itself, as threads write it all the time.
#[repr(align(128))]
struct Share(AtomicU64);

/// How many threads there are, and how many of them shall stand by.
struct Size {
    threads: usize,
    wanted: usize,
}

// SAFETY: `job` is written by the thread that has the team alone, while no part of it is left or being done, and read
// by those that have taken a part, which they count as done afterwards (`each`, `take`). What it points to may be used
// by several threads: `each` asks for `Sync`.
unsafe impl Sync for Team {}

/// Does `work` while the other threads stand by for the kernels in it: for work that takes about a millisecond or more
/// and consists of many ops. Results are the same, bit for bit.
///
/// Where as many threads as there are processors do such work already, each of them has its own alone.
pub fn standing_by<R>(work: impl FnOnce() -> R) -> R {
    /// Ends what began, also after a panic.
    struct AtWork;
    impl Drop for AtWork {
        fn drop(&mut self) {
            if HAS_TEAM.replace(false) {
                TEAM.is_lent.store(false, Ordering::Release);
            }
            AT_WORK.fetch_sub(1, Ordering::Release);
        }
    }
    let threads = available();
    if threads == 1 || HAS_TEAM.get() {
        return work();
    }
    let others = AT_WORK.fetch_add(1, Ordering::Acquire);
    let _at_work = AtWork;
    if others >= threads {
        return on_one_thread(work);
    }
    if others == 0 {
        TEAM.lend(threads.min(MOST));
        HAS_TEAM.set(true);
    }
    work()
}

/// Whether others stand by for this thread.
pub(super) fn is_standing_by() -> bool {
    HAS_TEAM.get()
}

/// Calls `work` with every number below `parts`, if others stand by for this thread; whether they do.
pub(super) fn each(parts: usize, work: &(impl Fn(usize) + Sync)) -> bool {
    let shared = HAS_TEAM.get() && u32::try_from(parts).is_ok();
    if shared {
        TEAM.each(parts, work);
    }
    shared
}

impl Team {
    const fn new() -> Self {
        /// # Safety
        /// None is needed.
        unsafe fn nothing(_: *const (), _: usize) {}
        Team {
            job: UnsafeCell::new(Job {
                work: ptr::null(),
                run: nothing,
            }),
            shares: [const { Share(AtomicU64::new(0)) }; MOST],
            threads: AtomicUsize::new(1),
            done: AtomicUsize::new(0),
            panic: Mutex::new(None),
            is_lent: AtomicBool::new(false),
            size: Mutex::new(Size {
                threads: 0,
                wanted: 0,
            }),
            bell: Condvar::new(),
        }
    }

    fn size(&self) -> MutexGuard<'_, Size> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets so many threads stand by, counting the one that asks.
    fn lend(&'static self, threads: usize) {
        let wanted = threads - 1;
        self.threads.store(threads, Ordering::Relaxed);
        self.is_lent.store(true, Ordering::Release);
        let mut size = self.size();
        size.wanted = wanted;
        while size.threads < wanted {
            let number = size.threads;
            let named = thread::Builder::new().name(format!("regraft-{number}"));
            // Without it the others do its parts.
            if named.spawn(move || self.stand_by(number)).is_err() {
                break;
            }
            size.threads += 1;
        }
        drop(size);
        self.bell.notify_all();
    }

    /// Sleeps until the team is lent, and stands by until it comes back; for ever.
    fn stand_by(&self, number: usize) {
        loop {
            let mut size = self.size();
            while !self.is_lent.load(Ordering::Acquire) || number >= size.wanted {
                size = self.bell.wait(size).unwrap_or_else(PoisonError::into_inner);
            }
            drop(size);
            let mut looks = 0;
            while self.is_lent.load(Ordering::Acquire) {
                match self.take(number + 1) {
                    true => looks = 0,
                    false => look_again(&mut looks),
                }
            }
        }
    }

    /// Does the parts of a piece of work together with those that stand by, for the thread that has the team.
    fn each<F: Fn(usize) + Sync>(&self, parts: usize, work: &F) {
        /// # Safety
        /// `work` points to an `F`.
        unsafe fn run<F: Fn(usize)>(work: *const (), part: usize) {
            // SAFETY: the caller's.
            let work = unsafe { &*work.cast::<F>() };
            work(part);
        }
        let job = Job {
            work: ptr::from_ref(work).cast(),
            run: run::<F>,
        };
        // SAFETY: all parts of the job before are done (the end of this function), and nobody reads the job who has
        // not taken a part.
        unsafe { *self.job.get() = job };
        self.done.store(0, Ordering::Relaxed);
        let threads = self.threads.load(Ordering::Relaxed);
        let bound = |thread: usize| (parts * thread / threads) as u64;
        for (thread, share) in self.shares[..threads].iter().enumerate() {
            let (start, end) = (bound(thread), bound(thread + 1));
            share.0.store(start << 32 | end, Ordering::Release);
        }
        while self.take(0) {}
        let mut looks = 0;
        while self.done.load(Ordering::Acquire) < parts {
            look_again(&mut looks);
        }
        if let Some(panic) = self.first_panic().take() {
            resume_unwind(panic);
        }
    }

    fn first_panic(&self) -> MutexGuard<'_, Option<Box<dyn Any + Send>>> {
        self.panic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a part and does it, if one is left: of the thread's own share first, of others' then.
    fn take(&self, thread: usize) -> bool {
        let threads = self.threads.load(Ordering::Relaxed);
        let mut shares = (thread..threads).chain(0..thread.min(threads));
        let Some(part) = shares.find_map(|share| self.shares[share].take()) else {
            return false;
        };
        // SAFETY: shares were set after the job was written, and a part of one was taken just now: the job stays until
        // that is counted as done, and with it what it points to, since `each` waits for that.
        let job = unsafe { *self.job.get() };
        let work = || {
            // SAFETY: `work` is what `run` was made for.
            unsafe { (job.run)(job.work, part) }
        };
        // A part is not divided further.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| on_one_thread(work))) {
            self.first_panic().get_or_insert(panic);
        }
        self.done.fetch_add(1, Ordering::Release);
        true
    }
}

impl Share {
    /// The first part that is left.
    fn take(&self) -> Option<usize> {
        let one_less = |range: u64| {
            let (start, end) = (range >> 32, range & u64::from(u32::MAX));
            (start < end).then_some((start + 1) << 32 | end)
        };
        let taken = self
            .0
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, one_less);
        Some((taken.ok()? >> 32) as usize)
    }
}

/// Waits a moment.
fn look_again(looks: &mut u32) {
    *looks += 1;
    match *looks < LOOKS {
        true => std::hint::spin_loop(),
        false => thread::yield_now(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    use super::*;

    /// One test at a time: there is one team.
    fn with_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(work)
    }

    #[test]
    fn every_part_is_done_once() {
        for threads in [2, 3, 8] {
            with_threads(threads, || {
                standing_by(|| {
                    for parts in (0..200).chain([10_000]) {
                        let counts: Vec<AtomicU32> =
                            (0..parts).map(|_| AtomicU32::new(0)).collect();
                        let work = |part: usize| {
                            counts[part].fetch_add(1, Ordering::Relaxed);
                        };
                        assert!(each(parts, &work));
                        assert!(
                            counts
                                .iter()
                                .all(|count| count.load(Ordering::Relaxed) == 1)
                        );
                    }
                });
            });
        }
    }

    #[test]
    fn what_others_do_is_waited_for() {
        with_threads(2, || {
            for _ in 0..20 {
                standing_by(|| {
                    let done = AtomicU32::new(0);
                    let work = |part: usize| {
                        thread::sleep(Duration::from_millis(1 + 2 * part as u64));
                        done.fetch_add(1, Ordering::Relaxed);
                    };
                    each(2, &work);
                    assert_eq!(done.load(Ordering::Relaxed), 2);
                });
            }
        });
    }

    #[test]
    fn a_panic_arrives_and_nothing_stays_behind() {
        with_threads(3, || {
            let panicked = catch_unwind(|| {
                standing_by(|| {
                    let work = |part: usize| assert_ne!(part, 7, "the seventh");
                    each(20, &work);
                })
            });
            assert!(panicked.is_err());
            assert!(!is_standing_by());
            assert_eq!(standing_by(|| 1), 1);
        });
    }
}

//! When to use more than one thread, how to cut work so that the cut cannot change a result, and what
//! threads write together.

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use super::alone::available;
use super::team;

/// Elements of cheap per-element work below which a second thread costs more than it saves.
pub(crate) const ELEMENTS: usize = 1 << 18;

/// Multiply-adds, of operands in cache, below which it does (about 20 µs).
const MULTIPLY_ADDS: usize = 1 << 21;

/// By how much less is worth a second thread that [stands by](team).
const STANDING_BY: usize = 1 << 4;

/// Elements that one task of a split loop takes.
const TASK: usize = 1 << 16;

/// Whether `elements` of cheap work should be split over threads.
pub(crate) fn worthwhile(elements: usize) -> bool {
    elements >= ELEMENTS / ease() && available() > 1
}

/// By how much less work is worth a second thread here.
fn ease() -> usize {
    match team::is_standing_by() {
        true => STANDING_BY,
        false => 1,
    }
}

/// Calls `work(start, part)` for consecutive parts of `out`, on several threads if it is long.
///
/// Parts begin at multiples of `unit`; `cost` is the work of one element in units of a cheap
/// elementwise operation.
pub(crate) fn parts<T: Copy + Send>(
    out: &mut [T],
    unit: usize,
    cost: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    let unit = unit.max(1);
    if worthwhile(out.len().saturating_mul(cost)) {
        let task = (TASK / ease() / cost.max(1) / unit).max(1) * unit;
        chunks(out, task, |part, out| work(part * task, out));
    } else {
        work(0, out);
    }
}

/// Calls `work(number, part)` for consecutive parts of `size` elements of `out`, the last of which may be shorter, on
/// several threads.
pub(crate) fn chunks<T: Copy + Send>(
    out: &mut [T],
    size: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    let (length, threads) = (out.len(), available());
    let out = SharedMut::new(out);
    each(length.div_ceil(size), 1, threads, |part| {
        let from = part * size;
        // SAFETY: parts do not overlap, and end where `out` does.
        work(part, unsafe { out.slice(from..length.min(from + size)) });
    });
}

/// How many threads `multiply_adds` are worth.
pub(crate) fn threads(multiply_adds: usize) -> usize {
    if multiply_adds < MULTIPLY_ADDS / ease() {
        1
    } else {
        available()
    }
}

/// Calls `work` with every number below `count`, on that many threads; each takes at least `together`
/// numbers in a row.
pub(crate) fn each(
    count: usize,
    together: usize,
    threads: usize,
    work: impl Fn(usize) + Send + Sync,
) {
    match threads {
        1 => (0..count).for_each(work),
        _ => on_several(count, together, &work),
    }
}

/// Compiled once: what shares work over threads would be in a program for each of a thousand kernels, a tenth of it.
#[inline(never)]
fn on_several(count: usize, together: usize, work: &(dyn Fn(usize) + Sync)) {
    if !team::each(count, &work) {
        let numbers = (0..count).into_par_iter().with_min_len(together);
        numbers.for_each(work);
    }
}

/// A mutable borrow of which several threads write different elements.
#[derive(Clone, Copy)]
pub(crate) struct SharedMut<'a, T = f32> {
    start: *mut T,
    length: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: it gives access only to those who promise that nobody else has the same elements.
unsafe impl<T: Send> Send for SharedMut<'_, T> {}
// SAFETY: likewise.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}

impl<'a, T: Copy> SharedMut<'a, T> {
    pub fn new(all: &'a mut [T]) -> Self {
        SharedMut {
            start: all.as_mut_ptr(),
            length: all.len(),
            borrow: PhantomData,
        }
    }

    /// The number of elements.
    pub fn len(self) -> usize {
        self.length
    }

    /// The elements from `first` on.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline(always)]
    pub fn from(self, first: usize) -> Self {
        assert!(first <= self.length, "shared: beyond the end");
        SharedMut {
            start: self.start.wrapping_add(first),
            length: self.length - first,
            ..self
        }
    }

    /// The first element; those that nobody else touches may be written through it.
    #[inline(always)]
    pub fn as_ptr(self) -> *mut T {
        self.start
    }

    /// Some of the elements.
    ///
    /// # Safety
    /// `range.start ≤ range.end ≤ len`, and nothing else touches them while the slice lives.
    #[inline(always)]
    pub unsafe fn slice(self, range: Range<usize>) -> &'a mut [T] {
        debug_assert!(range.start <= range.end && range.end <= self.length);
        // SAFETY: `start` points to `length` borrowed values, `range.end ≤ length`, and nobody else has
        // these: the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

//! When to use more than one thread, and how to cut work so that the cut cannot change a result.

use rayon::prelude::*;

/// Elements of cheap per-element work below which a second thread costs more than it saves.
pub(crate) const ELEMENTS: usize = 1 << 18;

/// Elements that one task of a split loop takes.
const TASK: usize = 1 << 16;

/// Whether `elements` of cheap work should be split over threads.
pub(crate) fn worthwhile(elements: usize) -> bool {
    elements >= ELEMENTS && rayon::current_num_threads() > 1
}

/// Calls `work(start, part)` for consecutive parts of `out`, on several threads if it is long.
///
/// Parts begin at multiples of `unit`; `cost` is the work of one element in units of a cheap
/// elementwise operation.
pub(crate) fn parts<T: Send>(
    out: &mut [T],
    unit: usize,
    cost: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    let unit = unit.max(1);
    if worthwhile(out.len().saturating_mul(cost)) {
        let task = (TASK / cost.max(1) / unit).max(1) * unit;
        out.par_chunks_mut(task)
            .enumerate()
            .for_each(|(part, out)| work(part * task, out));
    } else {
        work(0, out);
    }
}

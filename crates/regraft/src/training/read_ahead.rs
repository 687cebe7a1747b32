//! The next batch is made while the present one is computed: a data set that decodes pictures, or waits for
//! a disk, does so meanwhile.

use std::thread;
use std::time::Duration;

use crate::Result;
use crate::random::Key;
use crate::training::batches::{Batch, Batcher, FeedPlan, KeptFeatures, Truth};
use crate::training::clock::Clock;
use crate::training::samples::Samples;

/// Batches of samples, one after the other. While one is used, another thread fills the next, if that takes
/// so long that it is worth it; never more than that one. The numbers are the same either way.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    now: Batcher,
    next: Batcher,
    /// The positions that `next` was filled with, and what came of it.
    filled: Option<((usize, usize), Result<()>)>,
    /// How long it took to fill the last one.
    took: Duration,
}

/// Which samples to take: positions of the order, if there is one, or of the data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken<'t> {
    pub order: Option<&'t [u32]>,
    pub range: (usize, usize),
    /// What will be taken after them, if that is known.
    pub next: Option<(usize, usize)>,
    /// What samples are drawn from that are not fixed.
    pub key: Key,
}

/// As long as it takes to start a thread, several times.
const WORTH_IT: Duration = Duration::from_micros(300);

impl ReadAhead {
    /// For batches of `data`, as the plan says.
    pub fn new(plan: FeedPlan, data: &Samples<'_>) -> Self {
        ReadAhead {
            now: Batcher::new(plan.clone(), data),
            next: Batcher::new(plan, data),
            filled: None,
            took: Duration::ZERO,
        }
    }

    /// Runs `step` with the batch of the samples that are taken.
    ///
    /// # Errors
    /// Those of [`Batcher::prepare`] and of `step`.
    pub fn batch<T>(
        &mut self,
        data: &Samples<'_>,
        features: Option<&KeptFeatures<'_>>,
        taken: Taken<'_>,
        step: impl FnOnce(&Batch<'_>, &Truth<'_>) -> Result<T>,
    ) -> Result<T> {
        let Taken {
            order,
            range,
            next,
            key,
        } = taken;
        match self.filled.take() {
            Some((filled, result)) if filled == range => {
                result?;
                std::mem::swap(&mut self.now, &mut self.next);
            }
            _ => {
                let clock = Clock::now();
                self.now.prepare(data, features, order, range, key)?;
                self.took = clock.elapsed();
            }
        }
        let (batch, truth) = self.now.ready(data, features, order, range);
        let Some(range) = next.filter(|_| self.took >= WORTH_IT) else {
            return step(&batch, &truth);
        };
        let batcher = &mut self.next;
        let fill = || {
            let clock = Clock::now();
            let filled = batcher.prepare(data, features, order, range, key);
            (filled, clock.elapsed())
        };
        let (result, filled) = thread::scope(|scope| {
            // Where no thread can be had, the batch is filled when it is needed.
            let filling = thread::Builder::new().spawn_scoped(scope, fill).ok();
            let result = step(&batch, &truth);
            let filled = filling.map(thread::ScopedJoinHandle::join);
            (result, filled)
        });
        match filled {
            None => {}
            Some(Ok((filled, took))) => {
                self.filled = Some((range, filled));
                self.took = took;
            }
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
        result
    }
}

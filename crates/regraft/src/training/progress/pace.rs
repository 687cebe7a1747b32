//! How fast steps go by, at a cost per step of a comparison.

use std::time::Duration;

use crate::training::clock::Clock;

/// At most ten drawings a second: more is not seen and costs time.
const BETWEEN_DRAWINGS: Duration = Duration::from_millis(100);

/// Reading the clock five times per drawing keeps drawings on time without reading it every step.
const BETWEEN_LOOKS: f64 = 0.02;

/// Counts steps and says when it is time to draw.
#[derive(Debug)]
pub(super) struct Pace {
    steps: usize,
    /// The step at which the clock is read next.
    look_at: usize,
    start: Clock,
    drawn: Duration,
}

impl Pace {
    pub fn start() -> Self {
        Pace {
            steps: 0,
            look_at: 1,
            start: Clock::now(),
            drawn: Duration::ZERO,
        }
    }

    /// Counts a step; whether it is time to draw.
    #[inline]
    pub fn step(&mut self) -> bool {
        self.steps += 1;
        self.steps >= self.look_at && self.look()
    }

    #[cold]
    fn look(&mut self) -> bool {
        let elapsed = self.elapsed();
        // Growing at most twofold, so that a few fast steps at the start do not blind it.
        let soon = (self.steps as f64 * BETWEEN_LOOKS / elapsed.as_secs_f64().max(1e-9)) as usize;
        self.look_at = self.steps + soon.clamp(1, self.steps);
        let due = elapsed >= self.drawn + BETWEEN_DRAWINGS;
        if due {
            self.drawn = elapsed;
        }
        due
    }

    pub fn steps(&self) -> usize {
        self.steps
    }

    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Steps per second; `None` before the first step or without a clock.
    pub fn rate(&self) -> Option<f64> {
        let seconds = self.elapsed().as_secs_f64();
        (self.steps > 0 && seconds > 0.0).then(|| self.steps as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_read_far_less_often_than_steps_are_counted() {
        let mut pace = Pace::start();
        let mut looks = 0;
        for _ in 0..100_000 {
            let before = pace.look_at;
            pace.step();
            looks += usize::from(pace.look_at != before);
        }
        assert_eq!(pace.steps(), 100_000);
        assert!(looks < 10_000, "{looks}");
        assert!(pace.rate().unwrap() > 0.0);
    }

    #[test]
    fn slow_steps_are_looked_at_one_by_one() {
        let mut pace = Pace::start();
        let mut due = 0;
        for _ in 0..8 {
            std::thread::sleep(Duration::from_millis(40));
            due += u128::from(pace.step());
        }
        let most = pace.elapsed().as_millis() / 100;
        assert!((1..=most).contains(&due), "{due} of {most}");
    }
}

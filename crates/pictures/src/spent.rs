//! Time and memory that were spent.

use std::time::{Duration, Instant};

use crate::observer::Stage;

/// Seconds of each stage.
#[derive(Clone, Debug)]
pub struct Spent {
    began: Instant,
    /// The stages in order, with what they took.
    pub stages: Vec<(Stage, Duration)>,
}

impl Spent {
    pub(crate) fn begin() -> Self {
        Spent {
            began: Instant::now(),
            stages: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, stage: Stage, since: Instant) {
        self.stages.push((stage, since.elapsed()));
    }

    /// From the beginning until now.
    pub fn total(&self) -> Duration {
        self.began.elapsed()
    }
}

/// The most memory that this process has had, in bytes, where the system tells.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}

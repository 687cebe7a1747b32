//! Time and memory: what was predicted, and what was spent.

use std::time::{Duration, Instant};

use crate::observer::Stage;

/// Seconds of each stage, and what was predicted of them.
#[derive(Clone, Debug)]
pub struct Spent {
    began: Instant,
    /// The stages in order, with what they took.
    pub stages: Vec<(Stage, Duration)>,
    /// What stages were predicted to take: before they began, and once the first pictures had gone through the network.
    pub predicted: Vec<(Stage, Duration)>,
    /// How much memory was predicted at most, in bytes, where the system tells how much there is in use.
    pub predicted_memory: Option<u64>,
}

impl Spent {
    pub(crate) fn begin() -> Self {
        Spent {
            began: Instant::now(),
            stages: Vec::new(),
            predicted: Vec::new(),
            predicted_memory: None,
        }
    }

    pub(crate) fn add(&mut self, stage: Stage, since: Instant) {
        self.stages.push((stage, since.elapsed()));
    }

    pub(crate) fn predict(&mut self, stage: Stage, seconds: f64) {
        self.predicted
            .push((stage, Duration::from_secs_f64(seconds.max(0.0))));
    }

    /// Takes over what another has counted.
    pub(crate) fn append(&mut self, other: Spent) {
        self.stages.extend(other.stages);
        self.predicted.extend(other.predicted);
        self.predicted_memory = self.predicted_memory.max(other.predicted_memory);
    }

    /// From the beginning until now.
    pub fn total(&self) -> Duration {
        self.began.elapsed()
    }

    /// What a stage was predicted to take.
    pub fn predicted(&self, stage: Stage) -> Option<Duration> {
        let mut all = self.predicted.iter();
        all.find(|(of, _)| *of == stage).map(|(_, time)| *time)
    }

    /// What all stages were predicted to take; none if it was not predicted of each that there was.
    pub fn predicted_total(&self) -> Option<Duration> {
        let mut stages = self.stages.iter();
        let all = stages.all(|(stage, _)| self.predicted(*stage).is_some());
        all.then(|| self.predicted.iter().map(|(_, time)| *time).sum())
    }
}

/// The most memory that this process has had, in bytes, where the system tells.
pub fn peak_memory() -> Option<u64> {
    memory("VmHWM:")
}

/// The memory that this process has now.
pub(crate) fn used_memory() -> Option<u64> {
    memory("VmRSS:")
}

fn memory(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}

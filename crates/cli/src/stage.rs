//! A part of a long command: a bar with rate and time left on a terminal, one line at its end anywhere else.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use regraft_tensor::one_line;

use crate::format;
use crate::output::Output;

/// What a stage counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things of a name: `Unit::Of("pictures")`.
    Of(&'static str),
    /// Bytes.
    Bytes,
}

/// A part of a command that is under way. Threads may share it.
#[derive(Debug)]
pub struct Stage {
    name: String,
    unit: Unit,
    began: Instant,
    done: AtomicU64,
    bar: Option<ProgressBar>,
    quiet: bool,
}

impl Output {
    /// Begins a stage of `total` steps, if that is known.
    pub fn stage(&self, name: impl Into<String>, unit: Unit, total: Option<u64>) -> Stage {
        let name = one_line(&name.into());
        let draws = self.on_terminal && !self.quiet;
        let bar = draws.then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(10);
            let bar = ProgressBar::with_draw_target(total, target);
            bar.set_style(style(unit, total.is_some()));
            bar.set_prefix(name.clone());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Stage {
            name,
            unit,
            began: Instant::now(),
            done: AtomicU64::new(0),
            bar,
            quiet: self.quiet,
        }
    }
}

fn style(unit: Unit, total_known: bool) -> ProgressStyle {
    let template = match (unit, total_known) {
        (Unit::Of(_), true) => {
            "{prefix} {wide_bar} {human_pos}/{human_len} {per_sec:.0}, {eta} left"
        }
        (Unit::Of(_), false) => "{prefix} {spinner} {human_pos} {per_sec:.0}",
        (Unit::Bytes, true) => {
            "{prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left"
        }
        (Unit::Bytes, false) => "{prefix} {spinner} {bytes} {bytes_per_sec}",
    };
    ProgressStyle::with_template(template).expect("the template is well-formed")
}

impl Stage {
    /// Sets the number of steps done, and of all if that is known by now.
    pub fn set(&self, done: u64, total: Option<u64>) {
        self.done.store(done, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            if bar.length() != total {
                bar.set_style(style(self.unit, total.is_some()));
                if let Some(total) = total {
                    bar.set_length(total);
                }
            }
            bar.set_position(done);
        }
    }

    /// Ends it with what came out; without words for that, with what was counted.
    pub fn finish(mut self, outcome: &str) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if self.quiet {
            return;
        }
        let done = self.done.load(Ordering::Relaxed);
        let outcome = match (outcome, self.unit) {
            ("", Unit::Of(things)) => format!("{} {things}", format::count(done)),
            ("", Unit::Bytes) => format::bytes(done),
            (outcome, _) => one_line(outcome),
        };
        let took = format::duration(self.began.elapsed());
        // Without a standard error there is nobody to read it.
        let _ = writeln!(io::stderr(), "{}: {outcome}, {took}", self.name);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

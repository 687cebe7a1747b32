//! Showing how training goes: a bar on a terminal, a line per epoch elsewhere, or nothing.

#[cfg(all(feature = "progress", not(target_arch = "wasm32")))]
mod bar;
mod format;
mod pace;

use std::fmt;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use format::{duration, line};
use pace::Pace;

/// How much is shown; the numbers are Keras'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// A bar if the standard error is a terminal, else lines. The default.
    #[default]
    Auto,
    /// Nothing: Keras' 0.
    Silent,
    /// A bar for the running epoch and a line for each one that is done: Keras' 1.
    Bar,
    /// A line per epoch: Keras' 2.
    Lines,
}

impl From<u8> for Verbosity {
    /// Keras' numbers: 0 silent, 1 bar, anything else lines.
    fn from(number: u8) -> Self {
        match number {
            0 => Verbosity::Silent,
            1 => Verbosity::Bar,
            _ => Verbosity::Lines,
        }
    }
}

/// Shows how a run goes, on the standard error.
///
/// A step costs about a nanosecond: the clock is read only every so many steps, and a bar is drawn
/// at most ten times a second.
///
/// ```
/// use regraft::progress::{Progress, Verbosity};
///
/// let (epochs, steps) = (3, 100);
/// let mut progress = Progress::new(Verbosity::Auto, epochs, steps);
/// for epoch in 0..epochs {
///     progress.begin_epoch(epoch);
///     for step in 0..steps {
///         // … train on a batch …
///         progress.step(|| vec![("loss", 1.0 / (step + 1) as f64), ("learning_rate", 1e-3)]);
///     }
///     progress.end_epoch(&[("loss", 0.5), ("val_loss", 0.6), ("learning_rate", 1e-3)]);
/// }
/// ```
pub struct Progress {
    output: Output,
    epochs: usize,
    steps: usize,
    epoch: usize,
    pace: Pace,
}

enum Output {
    Silent,
    Lines(Box<dyn Write + Send>),
    #[cfg(all(feature = "progress", not(target_arch = "wasm32")))]
    Bar(bar::Bar),
}

impl Progress {
    /// For a run up to `epochs` epochs of `steps` batches each.
    pub fn new(verbosity: Verbosity, epochs: usize, steps: usize) -> Self {
        let stderr = || Box::new(std::io::stderr());
        let bar = match verbosity {
            Verbosity::Silent => return Self::with(Output::Silent, epochs, steps),
            Verbosity::Lines => false,
            Verbosity::Bar => true,
            Verbosity::Auto => std::io::stderr().is_terminal(),
        };
        #[cfg(all(feature = "progress", not(target_arch = "wasm32")))]
        if bar {
            return Self::with(Output::Bar(bar::Bar::new()), epochs, steps);
        }
        // Without the feature `progress`, lines stand in for the bar.
        let _ = bar;
        Self::to(stderr(), epochs, steps)
    }

    /// A line per epoch, written to `writer`. What it refuses is not shown; training goes on.
    pub fn to(writer: Box<dyn Write + Send>, epochs: usize, steps: usize) -> Self {
        Self::with(Output::Lines(writer), epochs, steps)
    }

    fn with(output: Output, epochs: usize, steps: usize) -> Self {
        let (epoch, pace) = (0, Pace::start());
        Progress {
            output,
            epochs,
            steps,
            epoch,
            pace,
        }
    }

    /// Starts epoch `epoch`, counted from 0.
    pub fn begin_epoch(&mut self, epoch: usize) {
        self.epoch = epoch;
        self.pace = Pace::start();
    }

    /// One batch is done. `values` is only called when a bar is drawn, with the loss, metrics and
    /// learning rate so far.
    #[inline]
    pub fn step<'a>(&mut self, values: impl FnOnce() -> Vec<(&'a str, f64)>) {
        if self.pace.step() {
            self.show(&values());
        }
    }

    #[cold]
    fn show(&mut self, values: &[(&str, f64)]) {
        #[cfg(all(feature = "progress", not(target_arch = "wasm32")))]
        if let Output::Bar(bar) = &mut self.output {
            let later = self.epochs.saturating_sub(self.epoch + 1) * self.steps;
            let left = self.steps.saturating_sub(self.pace.steps()) + later;
            let epoch = format::epoch_of(self.epoch, self.epochs);
            bar.draw(format::running(
                &epoch, self.steps, &self.pace, left, values,
            ));
        }
        let _ = values;
    }

    /// The epoch is done: writes its line, with `values` (loss, metrics, validation, learning rate)
    /// in their order.
    pub fn end_epoch(&mut self, values: &[(&str, f64)]) {
        if let Output::Silent = self.output {
            return;
        }
        let line = line(self.epoch, self.epochs, &self.pace, values);
        match &mut self.output {
            Output::Silent => {}
            // A closed pipe or full disk must not end the training.
            Output::Lines(writer) => {
                let _ = writeln!(writer, "{line}").and_then(|()| writer.flush());
            }
            #[cfg(all(feature = "progress", not(target_arch = "wasm32")))]
            Output::Bar(bar) => bar.line(&line),
        }
    }

    /// Shows a message of its own, such as "stopped early", above the bar; nothing if silent.
    pub fn message(&mut self, text: &str) {
        match &mut self.output {
            Output::Silent => {}
            Output::Lines(writer) => {
                let _ = writeln!(writer, "{text}");
            }
            #[cfg(all(feature = "progress", not(target_arch = "wasm32")))]
            Output::Bar(bar) => bar.line(text),
        }
    }

    /// The time since the epoch began.
    pub fn elapsed(&self) -> Duration {
        self.pace.elapsed()
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.output {
            Output::Silent => "silent",
            Output::Lines(_) => "lines",
            #[cfg(all(feature = "progress", not(target_arch = "wasm32")))]
            Output::Bar(_) => "bar",
        };
        let (epoch, epochs) = (self.epoch, self.epochs);
        let (step, steps) = (self.pace.steps(), self.steps);
        let elapsed = duration(self.elapsed());
        write!(
            f,
            "Progress({kind}, epoch {epoch} of {epochs}, step {step} of {steps}, {elapsed})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    struct Refusing;

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
    }

    fn run(progress: &mut Progress) {
        for epoch in 0..2 {
            progress.begin_epoch(epoch);
            for _ in 0..10 {
                progress.step(|| vec![("loss", 0.5)]);
            }
            progress.end_epoch(&[("loss", 0.5), ("learning_rate", 1e-4)]);
        }
        progress.message("done");
    }

    #[test]
    fn writes_a_line_per_epoch() {
        let shared = Shared::default();
        run(&mut Progress::to(Box::new(shared.clone()), 2, 10));
        let text = String::from_utf8(shared.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("Epoch 1/2 - "), "{text}");
        assert!(
            lines[1].ends_with(" - loss: 0.5000 - learning_rate: 1.000e-4"),
            "{text}"
        );
        assert_eq!(lines[2], "done");
    }

    #[test]
    fn a_closed_pipe_does_not_stop_the_training() {
        run(&mut Progress::to(Box::new(Refusing), 2, 10));
    }

    #[test]
    fn keras_numbers_are_understood() {
        assert_eq!(Verbosity::from(0), Verbosity::Silent);
        assert_eq!(Verbosity::from(1), Verbosity::Bar);
        assert_eq!(Verbosity::from(2), Verbosity::Lines);
        run(&mut Progress::new(0.into(), 2, 10));
    }

    #[test]
    fn values_are_asked_for_a_few_times_a_second_only() {
        let mut progress = Progress::to(Box::new(Shared::default()), 1, 0);
        progress.begin_epoch(0);
        let mut asked = 0;
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(250) {
            for _ in 0..1000 {
                progress.step(|| {
                    asked += 1;
                    Vec::new()
                });
            }
        }
        let most = start.elapsed().as_millis() / 100;
        assert!((1..=most).contains(&asked), "{asked} of {most}");
    }
}

//! The words of a progress line.

use std::time::Duration;

use super::pace::Pace;
use crate::training::history::short_number;

/// `Epoch  3/10`, as wide for every epoch of the run.
pub(super) fn epoch_of(epoch: usize, epochs: usize) -> String {
    let width = epochs.to_string().len();
    format!("Epoch {:>width$}/{epochs}", epoch + 1)
}

/// The line of an epoch that is done.
pub(super) fn line(epoch: usize, epochs: usize, pace: &Pace, values: &[(&str, f64)]) -> String {
    let epoch = epoch_of(epoch, epochs);
    let took = duration(pace.elapsed());
    format!("{epoch} - {took}{}{}", rate(pace), listed(values))
}

/// The line of the running epoch, of `steps` steps; `left` steps remain in the whole run.
#[cfg(all(feature = "progress", not(target_arch = "wasm32")))]
pub(super) fn running(
    epoch: &str,
    steps: usize,
    pace: &Pace,
    left: usize,
    values: &[(&str, f64)],
) -> String {
    const WIDTH: usize = 20;
    let done = pace.steps();
    let full = (done * WIDTH / steps.max(1)).min(WIDTH);
    let bar = "━".repeat(full) + &"─".repeat(WIDTH - full);
    let seconds = pace.rate().map(|rate| left as f64 / rate);
    let left = seconds.map_or(String::new(), |seconds| {
        let left = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        format!(" - {} left", duration(left))
    });
    let width = steps.to_string().len();
    format!(
        "{epoch} {bar} {done:width$}/{steps}{left}{}{}",
        rate(pace),
        listed(values)
    )
}

fn rate(pace: &Pace) -> String {
    match pace.rate() {
        None => String::new(),
        Some(rate) if rate >= 10.0 => format!(" - {rate:.0} steps/s"),
        Some(rate) => format!(" - {rate:.2} steps/s"),
    }
}

fn listed(values: &[(&str, f64)]) -> String {
    let values = values.iter();
    values
        .map(|(name, value)| format!(" - {name}: {}", short_number(*value)))
        .collect()
}

/// `85ms`, `4.2s`, `1:05` or `2:01:05`.
pub(super) fn duration(duration: Duration) -> String {
    let (milliseconds, seconds) = (duration.as_millis(), duration.as_secs());
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, seconds) {
        (0, 0) => format!("{milliseconds}ms"),
        (0, 1..60) => format!("{}.{}s", seconds, milliseconds / 100 % 10),
        (0, _) => format!("{minutes}:{rest:02}"),
        _ => format!("{hours}:{minutes:02}:{rest:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let text = |milliseconds| duration(Duration::from_millis(milliseconds));
        assert_eq!(text(0), "0ms");
        assert_eq!(text(999), "999ms");
        assert_eq!(text(4_299), "4.2s");
        assert_eq!(text(59_999), "59.9s");
        assert_eq!(text(65_000), "1:05");
        assert_eq!(text(7_265_000), "2:01:05");
    }

    #[cfg(all(feature = "progress", not(target_arch = "wasm32")))]
    #[test]
    fn the_bar_fills_and_never_overflows() {
        let mut pace = Pace::start();
        let line = |pace: &Pace| running("Epoch 1/2", 3, pace, 4, &[("loss", 0.25)]);
        pace.step();
        let text = line(&pace);
        assert!(
            text.starts_with("Epoch 1/2 ━━━━━━────────────── 1/3 - "),
            "{text}"
        );
        assert!(
            text.contains(" left - ") && text.ends_with(" steps/s - loss: 0.2500"),
            "{text}"
        );
        for _ in 0..5 {
            pace.step();
        }
        assert!(line(&pace).contains(&"━".repeat(20)));
        // A run of unknown length.
        running("", 0, &pace, 0, &[]);
    }

    #[test]
    fn epochs_line_up() {
        assert_eq!(epoch_of(0, 10), "Epoch  1/10");
        assert_eq!(epoch_of(9, 10), "Epoch 10/10");
    }
}

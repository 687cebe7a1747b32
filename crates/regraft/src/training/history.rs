//! What a training run left behind: loss and metrics of every epoch, as Keras' `History`.

use std::fmt;

/// Loss and metrics of every epoch of a run, in the order in which they first appeared; validation
/// values are named `val_…`.
///
/// It prints as a table and writes itself as CSV.
///
/// ```
/// use regraft::history::{History, Params};
///
/// let mut history = History::new(Params { epochs: 2, steps: 10 });
/// history.push_epoch(0, [("loss", 0.9), ("accuracy", 0.6), ("val_loss", 1.0)]);
/// history.push_epoch(1, [("loss", 0.5), ("accuracy", 0.8), ("val_loss", 0.7)]);
/// assert_eq!(history.get("val_loss"), Some(&[1.0, 0.7][..]));
/// println!("{history}");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    params: Params,
    epochs: Vec<usize>,
    series: Vec<Series>,
}

/// What the run was asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params {
    /// The last epoch, counted from 1, as given to `fit`; stopping early leaves fewer in the history.
    pub epochs: usize,
    /// Batches per epoch.
    pub steps: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Series {
    name: String,
    /// The epochs that have a value: with validation every second epoch, not all of them.
    epochs: Vec<usize>,
    values: Vec<f64>,
}

impl History {
    /// Without epochs yet.
    pub fn new(params: Params) -> Self {
        History {
            params,
            ..Self::default()
        }
    }

    /// Adds the values at the end of epoch `epoch`, counted from 0.
    pub fn push_epoch<N: AsRef<str>>(
        &mut self,
        epoch: usize,
        values: impl IntoIterator<Item = (N, f64)>,
    ) {
        self.epochs.push(epoch);
        for (name, value) in values {
            let name = name.as_ref();
            let found = self.series.iter().position(|series| series.name == name);
            let index = found.unwrap_or_else(|| {
                self.series.push(Series {
                    name: name.to_string(),
                    epochs: Vec::new(),
                    values: Vec::new(),
                });
                self.series.len() - 1
            });
            self.series[index].epochs.push(epoch);
            self.series[index].values.push(value);
        }
    }

    /// The values of `name`, one per epoch that has one; `None` if no epoch has.
    pub fn get(&self, name: &str) -> Option<&[f64]> {
        self.find(name).map(|series| series.values.as_slice())
    }

    /// The value of `name` in the last epoch that has one.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.get(name)?.last().copied()
    }

    /// The epochs that have a value of `name`, counted from 0, each with it.
    pub fn points(&self, name: &str) -> impl Iterator<Item = (usize, f64)> + '_ {
        let series = self.find(name).into_iter();
        series.flat_map(|series| {
            let epochs = series.epochs.iter().copied();
            epochs.zip(series.values.iter().copied())
        })
    }

    /// The names, in the order in which they first appeared.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.series.iter().map(|series| series.name.as_str())
    }

    /// Names and values, as Keras' `history.history`.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f64])> {
        let series = self.series.iter();
        series.map(|series| (series.name.as_str(), series.values.as_slice()))
    }

    /// The epochs that were run, counted from 0.
    pub fn epochs(&self) -> &[usize] {
        &self.epochs
    }

    /// The number of epochs that were run.
    pub fn len(&self) -> usize {
        self.epochs.len()
    }

    /// Whether no epoch was run.
    pub fn is_empty(&self) -> bool {
        self.epochs.is_empty()
    }

    /// What the run was asked to do.
    pub fn params(&self) -> Params {
        self.params
    }

    /// The table as comma-separated values: a line of names, then one line per epoch (counted from
    /// 0, as Keras' `CSVLogger` does), empty where an epoch has no value. Numbers are the shortest
    /// that read back as the same `f64`.
    pub fn to_csv(&self) -> String {
        let mut csv = String::from("epoch");
        for name in self.names() {
            csv.push(',');
            if name.contains([',', '"', '\n', '\r']) {
                csv.push_str(&format!("\"{}\"", name.replace('"', "\"\"")));
            } else {
                csv.push_str(name);
            }
        }
        csv.push('\n');
        for (epoch, row) in self.rows() {
            csv.push_str(&epoch.to_string());
            for value in row {
                csv.push(',');
                csv.push_str(&value.map(|value| value.to_string()).unwrap_or_default());
            }
            csv.push('\n');
        }
        csv
    }

    fn find(&self, name: &str) -> Option<&Series> {
        self.series.iter().find(|series| series.name == name)
    }

    /// Each epoch and its value of every series.
    fn rows(&self) -> impl Iterator<Item = (usize, Vec<Option<f64>>)> + '_ {
        // Where each series stands: its epochs are a subsequence of all epochs.
        let mut next = vec![0; self.series.len()];
        self.epochs.iter().map(move |&epoch| {
            let series = self.series.iter().zip(&mut next);
            let row = series.map(|(series, next)| {
                let here = series.epochs.get(*next) == Some(&epoch);
                let value = here.then(|| series.values[*next]);
                *next += usize::from(here);
                value
            });
            (epoch, row.collect())
        })
    }
}

impl fmt::Display for History {
    /// A table with one line per epoch, counted from 1 as on the progress bar.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<usize> = self.names().map(|name| name.len().max(8)).collect();
        write!(f, "epoch")?;
        for (name, width) in self.names().zip(&widths) {
            write!(f, "  {name:>width$}")?;
        }
        for (epoch, row) in self.rows() {
            write!(f, "\n{:5}", epoch + 1)?;
            for (value, width) in row.into_iter().zip(&widths) {
                let text = value.map(short_number).unwrap_or_default();
                write!(f, "  {text:>width$}")?;
            }
        }
        Ok(())
    }
}

/// A number as progress bars and tables show it: four decimals, or for small ones four digits and
/// an exponent.
pub(crate) fn short_number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() || (1e-3..1e6).contains(&value.abs()) {
        format!("{value:.4}")
    } else {
        format!("{value:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Validation every second epoch, and one value that is not a number.
    fn history() -> History {
        let mut history = History::new(Params {
            epochs: 3,
            steps: 4,
        });
        history.push_epoch(0, [("loss", 0.5)]);
        history.push_epoch(1, [("loss", 0.25), ("val_loss", 1e-5)]);
        history.push_epoch(2, [("loss", f64::NAN)]);
        history
    }

    #[test]
    fn epochs_without_a_value_are_left_out_of_the_list() {
        let history = history();
        assert_eq!(history.get("val_loss"), Some(&[1e-5][..]));
        assert_eq!(history.points("val_loss").collect::<Vec<_>>(), [(1, 1e-5)]);
        assert_eq!(history.get("accuracy"), None);
        assert_eq!(history.last("val_loss"), Some(1e-5));
        assert_eq!(history.epochs(), [0, 1, 2]);
    }

    #[test]
    fn csv_leaves_gaps_empty_and_quotes_names() {
        let mut history = history();
        assert_eq!(
            history.to_csv(),
            "epoch,loss,val_loss\n0,0.5,\n1,0.25,0.00001\n2,NaN,\n"
        );
        history.push_epoch(3, [("a,\"b\"", 1.0)]);
        assert!(
            history
                .to_csv()
                .starts_with("epoch,loss,val_loss,\"a,\"\"b\"\"\"\n")
        );
    }

    #[test]
    fn prints_a_line_per_epoch() {
        let expected = "epoch      loss  val_loss\n    1    0.5000          \n    2    0.2500  \
                        1.000e-5\n    3       NaN          ";
        assert_eq!(history().to_string(), expected);
        assert_eq!(History::default().to_string(), "epoch");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(short_number(0.0), "0.0000");
        assert_eq!(short_number(-12.5), "-12.5000");
        assert_eq!(short_number(1e-4), "1.000e-4");
        assert_eq!(short_number(3e7), "3.000e7");
    }
}

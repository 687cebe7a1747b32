//! Which class was taken for which.

use std::fmt;

use ndarray::Array2;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::accuracy::argmax;
use super::settings::settings;
use super::{Batch, ClassReport, Configured, Direction, Error, Metric, Result, Targets};

/// Counts, weighted by sample, of how often each class (row) was predicted as each class (column).
/// The result is the share on the diagonal, the accuracy.
///
/// Predictions have one column per class, the largest being the one predicted; or a single column
/// for two classes, where above 0.5 means class 1. Targets are class numbers or one-hot rows.
///
/// ```
/// use regraft::metrics::{Batch, ConfusionMatrix, Metric, Targets};
///
/// let mut matrix = ConfusionMatrix::with_names(["cat", "dog"]);
/// matrix.update(&Batch {
///     targets: Targets::Classes(&[0, 0, 1]),
///     predictions: &[0.9, 0.1, 0.4, 0.6, 0.2, 0.8],
///     shape: &[3, 2],
///     sample_weights: None,
/// })?;
/// assert_eq!(matrix.count(0, 1), 1.0); // one cat was taken for a dog
/// println!("{matrix}\n\n{}", matrix.report());
/// # Ok::<(), regraft::metrics::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConfusionMatrix {
    names: Vec<String>,
    /// Rows are targets, columns predictions.
    counts: Array2<f64>,
}

impl ConfusionMatrix {
    /// For classes that are called by their number.
    pub fn new(classes: usize) -> Self {
        Self::with_names((0..classes).map(|class| class.to_string()))
    }

    /// For classes of these names, in the order of their numbers.
    pub fn with_names(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let counts = Array2::zeros((names.len(), names.len()));
        ConfusionMatrix { names, counts }
    }

    /// The names of the classes.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How often `target` was predicted as `predicted`; 0 for classes there are not.
    pub fn count(&self, target: usize, predicted: usize) -> f64 {
        self.counts.get((target, predicted)).copied().unwrap_or(0.0)
    }

    /// All counts; rows are targets, columns predictions.
    pub fn counts(&self) -> &Array2<f64> {
        &self.counts
    }

    /// Precision, recall and F1 of every class.
    pub fn report(&self) -> ClassReport {
        ClassReport::new(&self.names, &self.counts)
    }
}

impl regraft_layers::FromSettings for ConfusionMatrix {
    fn from_settings(
        settings: &regraft_layers::settings::Settings<'_>,
    ) -> Result<Self, regraft_tensor::Detail> {
        let wrong = || settings.wrong("names", "the names of the classes", &"others".into());
        let names = settings
            .value("names")
            .and_then(Value::as_array)
            .ok_or_else(wrong)?;
        let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
        Ok(Self::with_names(names.ok_or_else(wrong)?))
    }
}

impl Configured for ConfusionMatrix {
    fn config(&self) -> Map<String, Value> {
        settings([("names", self.names.clone().into())])
    }
}

impl Metric for ConfusionMatrix {
    fn name(&self) -> &str {
        "confusion_matrix"
    }

    fn reset(&mut self) {
        self.counts.fill(0.0);
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        batch.check_targets(self.name())?;
        let (classes, width) = (self.names.len(), batch.width());
        if width != classes && (width, classes) != (1, 2) {
            return Err(Error::Shape(
                Detail::new(
                    self.name(),
                    format!("predictions of {classes} classes along the last axis"),
                    format!("shape {:?}", batch.shape),
                )
                .help("make the matrix for as many classes as the model has"),
            ));
        }
        let per_sample = batch.rows_per_sample();
        let class = |row: &[f32]| match row {
            [single] => usize::from(*single > 0.5),
            row => argmax(row),
        };
        for row in 0..batch.rows() {
            let target = match batch.targets {
                Targets::Classes(classes) => classes[row] as usize,
                Targets::Values(values) => class(&values[row * width..(row + 1) * width]),
            };
            self.counts[(target, class(batch.row(row)))] += batch.weight(row / per_sample);
        }
        Ok(())
    }

    fn result(&self) -> f64 {
        let all = self.counts.sum();
        if all == 0.0 {
            0.0
        } else {
            self.counts.diag().sum() / all
        }
    }

    fn results(&self) -> Vec<f64> {
        self.counts.iter().copied().collect()
    }

    fn direction(&self) -> Option<Direction> {
        Some(Direction::Up)
    }
}

impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whole counts without decimals, weighted ones with two.
        let whole = self.counts.iter().all(|count| count.fract() == 0.0);
        let decimals = if whole { 0 } else { 2 };
        let corner = "target \\ predicted";
        let length = |name: &String| name.chars().count();
        let first = self
            .names
            .iter()
            .map(length)
            .max()
            .unwrap_or(0)
            .max(corner.len());
        // A column is as wide as its counts, or its name up to 10 letters.
        let width = |class: usize| {
            let counts = self.counts.column(class);
            let counts = counts
                .iter()
                .map(|count| format!("{count:.decimals$}").len());
            counts
                .max()
                .unwrap_or(0)
                .max(length(&self.names[class]).min(10))
        };
        write!(f, "{corner:first$}")?;
        for (class, name) in self.names.iter().enumerate() {
            let short: String = name.chars().take(10).collect();
            write!(f, "  {short:>wide$}", wide = width(class))?;
        }
        for (class, name) in self.names.iter().enumerate() {
            write!(f, "\n{name:first$}")?;
            for (predicted, count) in self.counts.row(class).iter().enumerate() {
                let wide = width(predicted);
                if *count == 0.0 {
                    // A dot lets the mistakes stand out.
                    write!(f, "  {:>wide$}", "·")?;
                } else {
                    write!(f, "  {count:>wide$.decimals$}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(matrix: &mut ConfusionMatrix, targets: Targets<'_>, p: &[f32], shape: &[usize]) {
        let batch = Batch {
            targets,
            predictions: p,
            shape,
            sample_weights: None,
        };
        matrix.update(&batch).unwrap();
    }

    #[test]
    fn a_single_column_separates_two_classes() {
        let mut matrix = ConfusionMatrix::new(2);
        update(
            &mut matrix,
            Targets::Classes(&[1, 1, 0]),
            &[0.9, 0.1, 0.2],
            &[3, 1],
        );
        update(&mut matrix, Targets::Values(&[1.0, 0.0]), &[0.9, 0.6], &[2]);
        assert_eq!(matrix.results(), [1.0, 1.0, 1.0, 2.0]);
        assert_eq!(matrix.result(), 0.6);
    }

    #[test]
    fn prints_targets_down_and_predictions_across() {
        let mut matrix = ConfusionMatrix::with_names(["cat", "dog"]);
        let predictions = [0.9, 0.1, 0.4, 0.6, 0.2, 0.8];
        update(
            &mut matrix,
            Targets::Classes(&[0, 0, 1]),
            &predictions,
            &[3, 2],
        );
        let expected = "target \\ predicted  cat  dog\n\
                        cat                   1    1\n\
                        dog                   ·    1";
        assert_eq!(matrix.to_string(), expected);
    }

    #[test]
    fn another_number_of_classes_is_an_error() {
        let mut matrix = ConfusionMatrix::new(3);
        let batch = Batch {
            targets: Targets::Classes(&[0]),
            predictions: &[0.5, 0.5],
            shape: &[1, 2],
            sample_weights: None,
        };
        assert!(matches!(matrix.update(&batch), Err(Error::Shape(_))));
    }
}

//! One batch of predictions and what they should have been: what a metric is given to update itself.

use regraft_tensor::Detail;

use super::{Error, Result};

/// Predictions of one batch beside their targets. Nothing is copied.
///
/// Predictions are seen as *rows* along the last axis: `[samples, classes]` has one row per sample,
/// `[samples, time, classes]` has `time` rows per sample, and `[samples]` counts as `[samples, 1]`.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// What should have been predicted.
    pub targets: Targets<'a>,
    /// What the model predicted, in row-major order.
    pub predictions: &'a [f32],
    /// The shape of the predictions, samples first.
    pub shape: &'a [usize],
    /// One weight per sample; `None` means 1 for each.
    pub sample_weights: Option<&'a [f32]>,
}

/// What should have been predicted.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// One class number per row of the predictions.
    Classes(&'a [i32]),
    /// One value per prediction: one-hot rows, several labels, or numbers to regress on.
    Values(&'a [f32]),
}

impl<'a> Batch<'a> {
    /// The number of samples, the first axis.
    pub fn samples(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// The length of a row, the last axis; 1 for predictions of rank 1.
    pub fn width(&self) -> usize {
        match self.shape {
            [] | [_] => 1,
            [.., width] => *width,
        }
    }

    /// The number of rows: all axes but the last.
    pub fn rows(&self) -> usize {
        match self.shape {
            [] => 0,
            [samples] => *samples,
            [rest @ .., _] => rest.iter().product(),
        }
    }

    /// The predictions of one row.
    ///
    /// # Panics
    /// If `row` is not below [`rows`](Self::rows) of a [checked](Self::check) batch.
    pub fn row(&self, row: usize) -> &'a [f32] {
        let width = self.width();
        &self.predictions[row * width..(row + 1) * width]
    }

    /// The weight of one sample; 1 where no weights are given.
    pub fn weight(&self, sample: usize) -> f64 {
        self.sample_weights
            .map_or(1.0, |weights| f64::from(weights[sample]))
    }

    /// Checks that the sizes go together. Every metric of this crate calls it first; it costs a few
    /// nanoseconds.
    ///
    /// # Errors
    /// [`Error::Shape`], saying which of the three does not fit the shape.
    pub fn check(&self, metric: &str) -> Result<()> {
        let count = if self.shape.is_empty() {
            0
        } else {
            self.shape.iter().product()
        };
        let (what, expected, received) = if self.predictions.len() != count {
            ("predictions", count, self.predictions.len())
        } else if let Targets::Values(values) = self.targets
            && values.len() != count
        {
            ("target values, one per prediction,", count, values.len())
        } else if let Targets::Classes(classes) = self.targets
            && classes.len() != self.rows()
        {
            (
                "target classes, one per row of predictions,",
                self.rows(),
                classes.len(),
            )
        } else if let Some(weights) = self.sample_weights
            && weights.len() != self.samples()
        {
            ("sample weights", self.samples(), weights.len())
        } else {
            return Ok(());
        };
        let shape = self.shape;
        Err(Error::Shape(Detail::new(
            metric,
            format!("{expected} {what} for predictions of shape {shape:?}"),
            received,
        )))
    }

    /// The targets as class numbers, each of them inside `0..width`.
    ///
    /// # Errors
    /// [`Error::Target`] if the targets are values, or a class is out of range, naming its sample.
    pub fn classes(&self, metric: &str) -> Result<&'a [i32]> {
        match self.targets {
            Targets::Classes(classes) => {
                self.check_classes(metric, classes)?;
                Ok(classes)
            }
            Targets::Values(_) => Err(Error::Target(
                Detail::new(
                    metric,
                    "class numbers, one per row",
                    "values, one per prediction",
                )
                .help("one-hot targets go with the metric's form without 'Sparse'"),
            )),
        }
    }

    /// The targets as values, one per prediction.
    ///
    /// # Errors
    /// [`Error::Target`] if the targets are class numbers.
    pub fn values(&self, metric: &str) -> Result<&'a [f32]> {
        match self.targets {
            Targets::Values(values) => Ok(values),
            Targets::Classes(_) => Err(Error::Target(
                Detail::new(
                    metric,
                    "values, one per prediction",
                    "class numbers, one per row",
                )
                .help("class numbers go with the metric's form with 'Sparse', if it has one"),
            )),
        }
    }

    /// Checks that the classes lie in `0..width`, or with a width of 1 are 0 or 1.
    fn check_classes(&self, metric: &str, classes: &[i32]) -> Result<()> {
        let limit = self.width().max(2);
        // A negative class becomes a large unsigned one, so one comparison finds both kinds.
        let outside = |class: i32| class as u32 as usize >= limit;
        let offenders: u32 = classes.iter().map(|&class| u32::from(outside(class))).sum();
        if offenders == 0 {
            return Ok(());
        }
        let row = classes
            .iter()
            .position(|&class| outside(class))
            .unwrap_or(0);
        let per_sample = self.rows_per_sample();
        Err(Error::Target(
            Detail::new(
                format!("{metric}, sample {} of the batch", row / per_sample),
                format!("a class in 0..{limit}"),
                classes[row],
            )
            .help("classes are counted from 0, one unit of the last layer for each"),
        ))
    }

    /// Calls `visit(sample, target row, predicted row)` for every row, in order. Class numbers count
    /// as values where a row is a single prediction.
    pub(super) fn each_row(
        &self,
        metric: &str,
        mut visit: impl FnMut(usize, &[f32], &[f32]),
    ) -> Result<()> {
        self.check(metric)?;
        let width = self.width();
        if width == 0 {
            return Ok(());
        }
        let per_sample = self.rows_per_sample();
        let rows = self.predictions.chunks_exact(width).enumerate();
        match self.targets {
            Targets::Values(values) => {
                for ((row, predicted), target) in rows.zip(values.chunks_exact(width)) {
                    visit(row / per_sample, target, predicted);
                }
            }
            Targets::Classes(classes) if width == 1 => {
                for ((row, predicted), &class) in rows.zip(classes) {
                    visit(row / per_sample, &[class as f32], predicted);
                }
            }
            Targets::Classes(_) => {
                self.values(metric)?;
            }
        }
        Ok(())
    }

    /// Checks sizes as [`check`](Self::check) does, and that class numbers are in range, so that
    /// [`target`](Self::target) can be asked for.
    pub(super) fn check_targets(&self, metric: &str) -> Result<()> {
        self.check(metric)?;
        match self.targets {
            Targets::Classes(classes) => self.check_classes(metric, classes),
            Targets::Values(_) => Ok(()),
        }
    }

    /// The target of one prediction. Class numbers count as one-hot rows or, where a row is a single
    /// prediction, as 0 and 1.
    pub(super) fn target(&self, row: usize, column: usize) -> f32 {
        match (self.targets, self.width()) {
            (Targets::Values(values), width) => values[row * width + column],
            (Targets::Classes(classes), 1) => classes[row] as f32,
            (Targets::Classes(classes), _) => f32::from(u8::from(classes[row] as usize == column)),
        }
    }

    /// How many rows each sample has; at least 1.
    pub(super) fn rows_per_sample(&self) -> usize {
        (self.rows() / self.samples().max(1)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch<'a>(targets: Targets<'a>, predictions: &'a [f32], shape: &'a [usize]) -> Batch<'a> {
        Batch {
            targets,
            predictions,
            shape,
            sample_weights: None,
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_named() {
        let text = |batch: Batch<'_>| batch.check("m").unwrap_err().to_string();
        let values = [0.0; 6];
        assert!(text(batch(Targets::Values(&values), &values, &[2, 2])).contains("4 predictions"));
        let short = batch(Targets::Values(&values[..5]), &values, &[2, 3]);
        assert!(text(short).contains("6 target values"));
        let classes = batch(Targets::Classes(&[0]), &values, &[2, 3]);
        assert!(text(classes).contains("2 target classes"));
        let mut weighted = batch(Targets::Classes(&[0, 1]), &values, &[2, 3]);
        weighted.sample_weights = Some(&[1.0; 3]);
        assert!(text(weighted).contains("2 sample weights"));
        assert!(batch(Targets::Values(&[]), &[], &[]).check("m").is_ok());
    }

    #[test]
    fn rows_follow_the_last_axis() {
        let values = [0.0; 12];
        let sequence = batch(Targets::Values(&values), &values, &[2, 3, 2]);
        assert_eq!(
            (sequence.samples(), sequence.rows(), sequence.width()),
            (2, 6, 2)
        );
        let flat = batch(Targets::Values(&values), &values, &[12]);
        assert_eq!((flat.samples(), flat.rows(), flat.width()), (12, 12, 1));
    }

    #[test]
    fn a_class_out_of_range_names_its_sample() {
        let sequence = batch(Targets::Classes(&[0, 1, 2, 1]), &[0.0; 8], &[2, 2, 2]);
        let text = sequence.classes("m").unwrap_err().to_string();
        assert!(
            text.contains("sample 1 of the batch") && text.contains("0..2"),
            "{text}"
        );
    }
}

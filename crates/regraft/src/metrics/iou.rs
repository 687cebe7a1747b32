//! How much predicted and target regions of a class overlap. After
//! <https://keras.io/api/metrics/segmentation_metrics/>.

use ndarray::Array2;
use regraft_layers::settings;
use regraft_layers::settings::require;
use regraft_tensor::Detail;

use super::accuracy::argmax;
use super::regression::EPSILON;
use super::settings::check;
use super::{Batch, Direction, Error, Metric, Result, Targets};

/// What the five metrics count, and what tells them how.
#[derive(Clone, Debug, Default)]
struct Overlap {
    /// Rows are targets, columns predictions; of no classes before the first batch.
    counts: Array2<f64>,
    ignore_class: Option<i64>,
    /// Keras' type of the counts is one of integers: weights are cut to whole numbers.
    whole: bool,
}

/// Refuses more classes than a table of all pairs can have: a file says the number.
fn check_classes(classes: usize) -> Result<(), Detail> {
    const MOST: usize = 1 << 14;
    let expected = format!("1 to {MOST} classes");
    require(
        (1..=MOST).contains(&classes),
        "num_classes",
        &expected,
        classes,
    )
}

/// Refuses target classes that there are not, and none.
fn check_targets(targets: &[usize], classes: usize) -> Result<(), Detail> {
    let fit = classes > 0 && !targets.is_empty() && targets.iter().all(|&class| class < classes);
    let expected = format!("one or more classes below num_classes, {classes}");
    require(fit, "target_class_ids", &expected, targets)
}

impl Overlap {
    /// Ready for a batch of so many classes.
    fn of(&mut self, classes: usize, ignore_class: Option<i64>, data_type: &str) -> &mut Self {
        if self.counts.is_empty() {
            self.counts = Array2::zeros((classes, classes));
        }
        self.ignore_class = ignore_class;
        self.whole = data_type.contains("int");
        self
    }

    /// Counts one pair of classes, which may be outside those that there are.
    fn count(&mut self, target: i64, predicted: i64, weight: f64) {
        let classes = self.counts.nrows() as i64;
        let inside = |class: i64| (0..classes).contains(&class);
        if inside(target) && inside(predicted) && Some(target) != self.ignore_class {
            let weight = match self.whole {
                true => weight.trunc(),
                false => weight,
            };
            self.counts[(target as usize, predicted as usize)] += weight;
        }
    }

    /// Adds a batch whose targets and predictions are class numbers, or rows of all classes.
    fn update(&mut self, metric: &str, batch: &Batch<'_>, sparse: (bool, bool)) -> Result<()> {
        batch.check(metric)?;
        let per_sample = batch.rows_per_sample();
        let width = batch.width();
        match (batch.targets, sparse.0, sparse.1) {
            (Targets::Classes(classes), true, false) => {
                for (row, &class) in classes.iter().enumerate() {
                    let predicted = argmax(batch.row(row)) as i64;
                    self.count(i64::from(class), predicted, batch.weight(row / per_sample));
                }
            }
            (Targets::Classes(classes), true, true) if width == 1 => {
                for (row, &class) in classes.iter().enumerate() {
                    let predicted = batch.row(row)[0] as i64;
                    self.count(i64::from(class), predicted, batch.weight(row / per_sample));
                }
            }
            (Targets::Values(values), true, true) => {
                for (index, (&target, &predicted)) in
                    values.iter().zip(batch.predictions).enumerate()
                {
                    let weight = batch.weight(index / (per_sample * width).max(1));
                    self.count(target as i64, predicted as i64, weight);
                }
            }
            (Targets::Values(values), false, false) => {
                for (row, target) in values.chunks_exact(width.max(1)).enumerate() {
                    let predicted = argmax(batch.row(row)) as i64;
                    self.count(
                        argmax(target) as i64,
                        predicted,
                        batch.weight(row / per_sample),
                    );
                }
            }
            (targets, sparse_targets, sparse_predictions) => {
                let form = |sparse| match sparse {
                    true => "class numbers",
                    false => "a row of all classes each",
                };
                let expected = format!(
                    "targets as {}, predictions as {}",
                    form(sparse_targets),
                    form(sparse_predictions)
                );
                let received = match targets {
                    Targets::Classes(_) => "class numbers",
                    Targets::Values(_) => "one value per prediction",
                };
                let received = format!(
                    "targets as {received}, predictions of shape {:?}",
                    batch.shape
                );
                return Err(Error::Target(Detail::new(metric, expected, received).help(
                    "`sparse_y_true` and `sparse_y_pred` say in which form the classes come",
                )));
            }
        }
        Ok(())
    }

    fn result(&self, targets: &[usize]) -> f64 {
        let (mut sum, mut there) = (0.0, 0.0);
        let targets = targets.iter().filter(|_| !self.counts.is_empty());
        for &class in targets {
            let both = self.counts[(class, class)];
            let any = self.counts.row(class).sum() + self.counts.column(class).sum() - both;
            if any > 1e-9 {
                sum += both / (any + f64::from(EPSILON));
                there += 1.0;
            }
        }
        sum / (there + f64::from(EPSILON))
    }
}

macro_rules! overlap_metric {
    ($name:ident, $keras:literal, |$metric:ident| $targets:expr, |$self:ident, $batch:ident| $add:expr) => {
        impl $name {
            fn targets(&self) -> Vec<usize> {
                let $metric = self;
                $targets
            }
        }

        impl Metric for $name {
            fn name(&self) -> &str {
                $keras
            }

            fn reset(&mut self) {
                self.overlap.counts.fill(0.0);
            }

            fn update(&mut self, $batch: &Batch<'_>) -> Result<()> {
                if self.overlap.counts.is_empty() {
                    check(self)?;
                }
                let $self = self;
                $add
            }

            fn result(&self) -> f64 {
                self.overlap.result(&self.targets())
            }

            fn direction(&self) -> Option<Direction> {
                Some(Direction::Up)
            }
        }
    };
}

/// A metric of several classes: what comes before the settings that all of them have, what comes between
/// them, whether predictions are class numbers unless told otherwise, and whether targets are.
macro_rules! of_classes {
    (
        $(#[$documentation:meta])*
        $name:ident as $class:literal, $keras:literal { $($first:tt)* } { $($between:tt)* }
        sparse: $sparse:literal,
        |$metric:ident| $targets:expr, $sparse_targets:expr
    ) => {
        settings! {
            $(#[$documentation])*
            #[derive(Clone, Debug)]
            pub struct $name as $class {
                $($first)*
                /// Targets of this class count for nothing.
                ignore_class: Option<i64> = None,
                $($between)*
                /// Whether predictions are class numbers (`true`) or rows of all classes, the largest of
                /// which is the one predicted.
                sparse_y_pred: bool = $sparse,
                axis: i64 = -1 => |at: &str, axis| require(axis == -1, at, "-1, the last axis", axis),
                data_type as "dtype": String = "int64",
            }
            state { overlap: Overlap = Overlap::default() }
            checking |metric| {
                check_classes(metric.num_classes)?;
                check_targets(&metric.targets(), metric.num_classes)
            }
        }

        overlap_metric!($name, $keras, |$metric| $targets, |metric, batch| {
            let sparse = {
                let $metric = &*metric;
                ($sparse_targets, $metric.sparse_y_pred)
            };
            let overlap = &mut metric.overlap;
            let overlap = overlap.of(metric.num_classes, metric.ignore_class, &metric.data_type);
            overlap.update($keras, batch, sparse)
        });
    };
}

of_classes! {
    /// The mean over some classes of `TP / (TP + FP + FN)`, classes that are nowhere left out. Targets and
    /// predictions are class numbers unless told otherwise.
    IoU as "keras.metrics.IoU", "io_u" {
        /// Of `target_class_ids` among `num_classes` classes.
        new(num_classes: usize, target_class_ids: Vec<usize>)
        num_classes: usize = num_classes,
        target_class_ids: Vec<usize> = target_class_ids,
    } {
        /// Whether targets are class numbers (`true`) or one-hot rows.
        sparse_y_true: bool = true,
    }
    sparse: true,
    |metric| metric.target_class_ids.clone(), metric.sparse_y_true
}

of_classes! {
    /// The mean over all classes of `TP / (TP + FP + FN)`, classes that are nowhere left out. Targets and
    /// predictions are class numbers unless told otherwise.
    MeanIoU as "keras.metrics.MeanIoU", "mean_io_u" {
        /// Of `num_classes` classes.
        new(num_classes: usize)
        num_classes: usize = num_classes,
    } {
        /// Whether targets are class numbers (`true`) or one-hot rows.
        sparse_y_true: bool = true,
    }
    sparse: true,
    |metric| (0..metric.num_classes).collect(), metric.sparse_y_true
}

of_classes! {
    /// [`IoU`] of one-hot targets, and predictions of which the largest of a row counts.
    OneHotIoU as "keras.metrics.OneHotIoU", "one_hot_io_u" {
        /// Of `target_class_ids` among `num_classes` classes.
        new(num_classes: usize, target_class_ids: Vec<usize>)
        num_classes: usize = num_classes,
        target_class_ids: Vec<usize> = target_class_ids,
    } {}
    sparse: false,
    |metric| metric.target_class_ids.clone(), false
}

of_classes! {
    /// [`MeanIoU`] of one-hot targets, and predictions of which the largest of a row counts.
    OneHotMeanIoU as "keras.metrics.OneHotMeanIoU", "one_hot_mean_io_u" {
        /// Of `num_classes` classes.
        new(num_classes: usize)
        num_classes: usize = num_classes,
    } {}
    sparse: false,
    |metric| (0..metric.num_classes).collect(), false
}

settings! {
    /// [`IoU`] of two classes: a prediction of at least the threshold counts as class 1. Targets are 0
    /// and 1.
    #[derive(Clone, Debug)]
    pub struct BinaryIoU as "keras.metrics.BinaryIoU" {
        /// The mean of both classes, with a threshold of 0.5.
        new()
        /// The mean of these classes, 0 or 1.
        target_class_ids: Vec<usize> = [0, 1],
        /// From where on a prediction counts as class 1.
        threshold: f64 = 0.5,
        data_type as "dtype": String = "int64",
    }
    state { overlap: Overlap = Overlap::default() }
    checking |metric| { check_targets(&metric.target_class_ids, 2) }
}

overlap_metric!(
    BinaryIoU,
    "binary_io_u",
    |metric| metric.target_class_ids.clone(),
    |metric, batch| {
        batch.check_targets("binary_io_u")?;
        let overlap = metric.overlap.of(2, None, &metric.data_type);
        let (per_sample, width) = (batch.rows_per_sample(), batch.width());
        for row in 0..batch.rows() {
            let weight = batch.weight(row / per_sample);
            for column in 0..width {
                let predicted = batch.row(row)[column] >= metric.threshold as f32;
                let target = batch.target(row, column) as i64;
                overlap.count(target, i64::from(predicted), weight);
            }
        }
        Ok(())
    }
);

//! How much predicted and target regions of a class overlap. After
//! <https://keras.io/api/metrics/segmentation_metrics/>.

use ndarray::Array2;
use regraft_layers::settings::Settings;
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::accuracy::argmax;
use super::regression::EPSILON;
use super::settings::{exact, settings};
use super::{Batch, Direction, Error, Metric, Result, Targets};

/// What the five metrics have in common.
#[derive(Clone, Debug)]
struct Overlap {
    targets: Vec<usize>,
    ignore_class: Option<i64>,
    sparse_targets: bool,
    sparse_predictions: bool,
    /// Keras' type of the counts; of integers, weights are cut to whole numbers.
    data_type: String,
    /// Rows are targets, columns predictions.
    counts: Array2<f64>,
}

impl Overlap {
    fn new(
        metric: &str,
        classes: usize,
        targets: Vec<usize>,
        sparse: (bool, bool),
    ) -> Result<Self> {
        if classes == 0 || targets.is_empty() || targets.iter().any(|&class| class >= classes) {
            let expected = format!("one or more classes below num_classes, {classes}");
            let detail = Detail::new(metric, expected, format!("{targets:?}"));
            return Err(Error::Argument(detail));
        }
        Ok(Overlap {
            targets,
            ignore_class: None,
            sparse_targets: sparse.0,
            sparse_predictions: sparse.1,
            data_type: "int64".to_string(),
            counts: Array2::zeros((classes, classes)),
        })
    }

    fn read(mut self, settings: &Settings<'_>) -> Result<Self, Detail> {
        self.ignore_class = settings.get::<i64>("ignore_class")?;
        if let Some(data_type) = settings.value("dtype").and_then(Value::as_str) {
            self.data_type = data_type.to_string();
        }
        match settings.get::<i64>("axis")? {
            None | Some(-1) => Ok(self),
            Some(axis) => Err(settings.wrong("axis", "-1, the last axis", &axis.into())),
        }
    }

    fn classes(&self) -> usize {
        self.counts.nrows()
    }

    /// Counts one pair of classes, which may be outside those that there are.
    fn count(&mut self, target: i64, predicted: i64, weight: f64) {
        let classes = self.classes() as i64;
        let inside = |class: i64| (0..classes).contains(&class);
        if inside(target) && inside(predicted) && Some(target) != self.ignore_class {
            let weight = match self.data_type.contains("int") {
                true => weight.trunc(),
                false => weight,
            };
            self.counts[(target as usize, predicted as usize)] += weight;
        }
    }

    fn update(&mut self, metric: &str, batch: &Batch<'_>) -> Result<()> {
        batch.check(metric)?;
        let per_sample = batch.rows_per_sample();
        let width = batch.width();
        match (batch.targets, self.sparse_targets, self.sparse_predictions) {
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

    fn result(&self) -> f64 {
        let (mut sum, mut there) = (0.0, 0.0);
        for &class in &self.targets {
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
    ($name:ident, $keras:literal, $class:literal, |$metric:ident| $config:expr) => {
        impl Metric for $name {
            fn name(&self) -> &str {
                $keras
            }

            fn reset(&mut self) {
                self.overlap.counts.fill(0.0);
            }

            fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
                self.add(batch)
            }

            fn result(&self) -> f64 {
                self.overlap.result()
            }

            fn direction(&self) -> Option<Direction> {
                Some(Direction::Up)
            }
        }

        impl regraft_layers::Configured for $name {
            $crate::metrics::keras_class!($class);

            fn config(&self) -> Map<String, Value> {
                let $metric = self;
                let mut config = settings([("dtype", self.overlap.data_type.as_str().into())]);
                config.extend($config);
                config
            }
        }
    };
}

macro_rules! settings_of_overlap {
    () => {
        /// Targets of this class count for nothing.
        #[must_use]
        pub fn ignore_class(mut self, class: i64) -> Self {
            self.overlap.ignore_class = Some(class);
            self
        }

        /// Whether predictions are class numbers (`true`) or rows of all classes, the largest of which
        /// is the one predicted.
        #[must_use]
        pub fn sparse_y_pred(mut self, sparse: bool) -> Self {
            self.overlap.sparse_predictions = sparse;
            self
        }

        fn add(&mut self, batch: &Batch<'_>) -> Result<()> {
            let name = self.name().to_string();
            self.overlap.update(&name, batch)
        }
    };
}

macro_rules! sparse_targets {
    () => {
        /// Whether targets are class numbers (`true`) or one-hot rows.
        #[must_use]
        pub fn sparse_y_true(mut self, sparse: bool) -> Self {
            self.overlap.sparse_targets = sparse;
            self
        }
    };
}

/// The mean over some classes of `TP / (TP + FP + FN)`, classes that are nowhere left out. Targets and
/// predictions are class numbers unless told otherwise.
#[derive(Clone, Debug)]
pub struct IoU {
    overlap: Overlap,
}

impl IoU {
    /// Of `target_class_ids` among `num_classes` classes.
    ///
    /// # Errors
    /// [`Error::Argument`] without classes, or for one that there is not.
    pub fn new(num_classes: usize, target_class_ids: &[usize]) -> Result<Self> {
        let targets = target_class_ids.to_vec();
        Ok(IoU {
            overlap: Overlap::new("IoU", num_classes, targets, (true, true))?,
        })
    }

    settings_of_overlap!();
    sparse_targets!();
}

impl regraft_layers::FromSettings for IoU {
    fn from_settings(
        settings: &regraft_layers::settings::Settings<'_>,
    ) -> Result<Self, regraft_tensor::Detail> {
        let targets = target_classes(settings)?;
        let mut made = Self::new(settings.required::<usize>("num_classes")?, &targets)?;
        made.overlap = made.overlap.read(settings)?;
        Ok(made
            .sparse_y_true(settings.or::<bool>("sparse_y_true", true)?)
            .sparse_y_pred(settings.or::<bool>("sparse_y_pred", true)?))
    }
}

fn target_classes(settings: &Settings<'_>) -> Result<Vec<usize>, Detail> {
    let missing = || settings.wrong("target_class_ids", "class numbers", &Value::Null);
    settings
        .get::<Vec<usize>>("target_class_ids")?
        .ok_or_else(missing)
}

overlap_metric!(IoU, "io_u", "IoU", |metric| settings([
    ("num_classes", metric.overlap.classes().into()),
    ("target_class_ids", json!(metric.overlap.targets)),
    ("ignore_class", json!(metric.overlap.ignore_class)),
    ("sparse_y_true", metric.overlap.sparse_targets.into()),
    ("sparse_y_pred", metric.overlap.sparse_predictions.into()),
    ("axis", (-1).into()),
]));

/// The mean over all classes of `TP / (TP + FP + FN)`, classes that are nowhere left out. Targets and
/// predictions are class numbers unless told otherwise.
#[derive(Clone, Debug)]
pub struct MeanIoU {
    overlap: Overlap,
}

impl MeanIoU {
    /// Of `num_classes` classes.
    ///
    /// # Errors
    /// [`Error::Argument`] if there are none.
    pub fn new(num_classes: usize) -> Result<Self> {
        let targets = (0..num_classes).collect();
        Ok(MeanIoU {
            overlap: Overlap::new("MeanIoU", num_classes, targets, (true, true))?,
        })
    }

    settings_of_overlap!();
    sparse_targets!();
}

impl regraft_layers::FromSettings for MeanIoU {
    fn from_settings(
        settings: &regraft_layers::settings::Settings<'_>,
    ) -> Result<Self, regraft_tensor::Detail> {
        let mut made = Self::new(settings.required::<usize>("num_classes")?)?;
        made.overlap = made.overlap.read(settings)?;
        Ok(made
            .sparse_y_true(settings.or::<bool>("sparse_y_true", true)?)
            .sparse_y_pred(settings.or::<bool>("sparse_y_pred", true)?))
    }
}

overlap_metric!(MeanIoU, "mean_io_u", "MeanIoU", |metric| settings([
    ("num_classes", metric.overlap.classes().into()),
    ("ignore_class", json!(metric.overlap.ignore_class)),
    ("sparse_y_true", metric.overlap.sparse_targets.into()),
    ("sparse_y_pred", metric.overlap.sparse_predictions.into()),
    ("axis", (-1).into()),
]));

/// [`IoU`] of one-hot targets, and predictions of which the largest of a row counts.
#[derive(Clone, Debug)]
pub struct OneHotIoU {
    overlap: Overlap,
}

impl OneHotIoU {
    /// Of `target_class_ids` among `num_classes` classes.
    ///
    /// # Errors
    /// [`Error::Argument`] without classes, or for one that there is not.
    pub fn new(num_classes: usize, target_class_ids: &[usize]) -> Result<Self> {
        let targets = target_class_ids.to_vec();
        Ok(OneHotIoU {
            overlap: Overlap::new("OneHotIoU", num_classes, targets, (false, false))?,
        })
    }

    settings_of_overlap!();
}

impl regraft_layers::FromSettings for OneHotIoU {
    fn from_settings(
        settings: &regraft_layers::settings::Settings<'_>,
    ) -> Result<Self, regraft_tensor::Detail> {
        let targets = target_classes(settings)?;
        let mut made = Self::new(settings.required::<usize>("num_classes")?, &targets)?;
        made.overlap = made.overlap.read(settings)?;
        Ok(made.sparse_y_pred(settings.or::<bool>("sparse_y_pred", false)?))
    }
}

overlap_metric!(OneHotIoU, "one_hot_io_u", "OneHotIoU", |metric| settings([
    ("num_classes", metric.overlap.classes().into()),
    ("target_class_ids", json!(metric.overlap.targets)),
    ("ignore_class", json!(metric.overlap.ignore_class)),
    ("sparse_y_pred", metric.overlap.sparse_predictions.into()),
    ("axis", (-1).into()),
]));

/// [`MeanIoU`] of one-hot targets, and predictions of which the largest of a row counts.
#[derive(Clone, Debug)]
pub struct OneHotMeanIoU {
    overlap: Overlap,
}

impl OneHotMeanIoU {
    /// Of `num_classes` classes.
    ///
    /// # Errors
    /// [`Error::Argument`] if there are none.
    pub fn new(num_classes: usize) -> Result<Self> {
        let targets = (0..num_classes).collect();
        Ok(OneHotMeanIoU {
            overlap: Overlap::new("OneHotMeanIoU", num_classes, targets, (false, false))?,
        })
    }

    settings_of_overlap!();
}

impl regraft_layers::FromSettings for OneHotMeanIoU {
    fn from_settings(
        settings: &regraft_layers::settings::Settings<'_>,
    ) -> Result<Self, regraft_tensor::Detail> {
        let mut made = Self::new(settings.required::<usize>("num_classes")?)?;
        made.overlap = made.overlap.read(settings)?;
        Ok(made.sparse_y_pred(settings.or::<bool>("sparse_y_pred", false)?))
    }
}

overlap_metric!(
    OneHotMeanIoU,
    "one_hot_mean_io_u",
    "OneHotMeanIoU",
    |metric| settings([
        ("num_classes", metric.overlap.classes().into()),
        ("ignore_class", json!(metric.overlap.ignore_class)),
        ("sparse_y_pred", metric.overlap.sparse_predictions.into()),
        ("axis", (-1).into()),
    ])
);

/// [`IoU`] of two classes: a prediction of at least the threshold counts as class 1. Targets are 0
/// and 1.
#[derive(Clone, Debug)]
pub struct BinaryIoU {
    overlap: Overlap,
    threshold: f64,
}

impl Default for BinaryIoU {
    fn default() -> Self {
        Self::new()
    }
}

impl BinaryIoU {
    /// The mean of both classes, with a threshold of 0.5.
    pub fn new() -> Self {
        let overlap = Overlap::new("BinaryIoU", 2, vec![0, 1], (true, true));
        BinaryIoU {
            overlap: overlap.expect("both classes are below 2"),
            threshold: 0.5,
        }
    }

    /// The mean of these classes, 0 or 1.
    ///
    /// # Errors
    /// [`Error::Argument`] for another class, or none.
    pub fn target_class_ids(mut self, classes: &[usize]) -> Result<Self> {
        let threshold = self.threshold;
        self.overlap = Overlap::new("BinaryIoU", 2, classes.to_vec(), (true, true))?;
        Ok(BinaryIoU { threshold, ..self })
    }

    /// From where on a prediction counts as class 1.
    #[must_use]
    pub fn threshold(mut self, threshold: f32) -> Self {
        self.threshold = exact(threshold);
        self
    }

    fn add(&mut self, batch: &Batch<'_>) -> Result<()> {
        batch.check_targets("binary_io_u")?;
        let (per_sample, width) = (batch.rows_per_sample(), batch.width());
        for row in 0..batch.rows() {
            let weight = batch.weight(row / per_sample);
            for column in 0..width {
                let predicted = batch.row(row)[column] >= self.threshold as f32;
                let target = batch.target(row, column) as i64;
                self.overlap.count(target, i64::from(predicted), weight);
            }
        }
        Ok(())
    }
}

impl regraft_layers::FromSettings for BinaryIoU {
    fn from_settings(
        settings: &regraft_layers::settings::Settings<'_>,
    ) -> Result<Self, regraft_tensor::Detail> {
        let mut made = Self::new();
        if let Some(classes) = settings.get::<Vec<usize>>("target_class_ids")? {
            made = made.target_class_ids(&classes)?;
        }
        made.overlap = made.overlap.read(settings)?;
        made.threshold = settings.get::<f64>("threshold")?.unwrap_or(0.5);
        Ok(made)
    }
}

overlap_metric!(BinaryIoU, "binary_io_u", "BinaryIoU", |metric| settings([
    ("target_class_ids", json!(metric.overlap.targets)),
    ("threshold", metric.threshold.into()),
]));

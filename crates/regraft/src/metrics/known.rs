//! Keras' metrics: the class of each, the names it answers to, and how it is made from its settings.

use regraft_layers::settings::Settings;
use regraft_layers::{FromSettings, near};
use regraft_tensor::Detail;
use serde_json::Map;

use super::*;

/// One of Keras' metrics.
#[derive(Debug)]
pub(super) struct Known {
    /// Keras' class.
    pub class: &'static str,
    /// Its name, and Keras' short forms of it.
    pub names: &'static [&'static str],
    /// Whether it is about probabilities, and so is computed from them where it was given by name and
    /// the loss takes logits. An error of regression and a margin are about the outputs as they are.
    pub of_probabilities: bool,
    pub make: fn(&Settings<'_>) -> Result<Box<dyn Metric>, Detail>,
}

macro_rules! known {
    ($($class:literal [$($name:literal),+] $of:ident $metric:ident,)*) => {
        &[$(Known {
            class: $class,
            names: &[$($name),+],
            of_probabilities: known!($of),
            make: |settings| Ok(Box::new($metric::from_settings(settings)?)),
        }),*]
    };
    (probabilities) => { true };
    (outputs) => { false };
}

pub(super) const KNOWN: &[Known] = known![
    "Accuracy" ["exact_accuracy"] outputs ExactAccuracy,
    "BinaryAccuracy" ["binary_accuracy"] probabilities BinaryAccuracy,
    "CategoricalAccuracy" ["categorical_accuracy"] probabilities CategoricalAccuracy,
    "SparseCategoricalAccuracy" ["sparse_categorical_accuracy"] probabilities
        SparseCategoricalAccuracy,
    "TopKCategoricalAccuracy" ["top_k_categorical_accuracy"] probabilities TopKCategoricalAccuracy,
    "SparseTopKCategoricalAccuracy" ["sparse_top_k_categorical_accuracy"] probabilities
        SparseTopKCategoricalAccuracy,
    "Precision" ["precision"] probabilities Precision,
    "Recall" ["recall"] probabilities Recall,
    "F1Score" ["f1_score"] probabilities F1Score,
    "FBetaScore" ["fbeta_score"] probabilities FBetaScore,
    "AUC" ["auc"] probabilities Auc,
    "TruePositives" ["true_positives"] probabilities TruePositives,
    "TrueNegatives" ["true_negatives"] probabilities TrueNegatives,
    "FalsePositives" ["false_positives"] probabilities FalsePositives,
    "FalseNegatives" ["false_negatives"] probabilities FalseNegatives,
    "PrecisionAtRecall" ["precision_at_recall"] probabilities PrecisionAtRecall,
    "RecallAtPrecision" ["recall_at_precision"] probabilities RecallAtPrecision,
    "SensitivityAtSpecificity" ["sensitivity_at_specificity"] probabilities
        SensitivityAtSpecificity,
    "SpecificityAtSensitivity" ["specificity_at_sensitivity"] probabilities
        SpecificityAtSensitivity,
    "IoU" ["io_u", "iou"] outputs IoU,
    "MeanIoU" ["mean_io_u", "mean_iou"] outputs MeanIoU,
    "OneHotIoU" ["one_hot_io_u"] outputs OneHotIoU,
    "OneHotMeanIoU" ["one_hot_mean_io_u"] outputs OneHotMeanIoU,
    "BinaryIoU" ["binary_io_u"] probabilities BinaryIoU,
    "MeanAbsoluteError" ["mean_absolute_error", "mae"] outputs MeanAbsoluteError,
    "MeanSquaredError" ["mean_squared_error", "mse"] outputs MeanSquaredError,
    "RootMeanSquaredError" ["root_mean_squared_error"] outputs RootMeanSquaredError,
    "MeanAbsolutePercentageError" ["mean_absolute_percentage_error", "mape"] outputs
        MeanAbsolutePercentageError,
    "MeanSquaredLogarithmicError" ["mean_squared_logarithmic_error", "msle"] outputs
        MeanSquaredLogarithmicError,
    "LogCoshError" ["logcosh", "log_cosh", "log_cosh_error"] outputs LogCoshError,
    "CosineSimilarity" ["cosine_similarity"] outputs CosineSimilarity,
    "PearsonCorrelation" ["pearson_correlation"] outputs PearsonCorrelation,
    "ConcordanceCorrelation" ["concordance_correlation"] outputs ConcordanceCorrelation,
    "R2Score" ["r2_score"] outputs R2Score,
    "BinaryCrossentropy" ["binary_crossentropy", "bce"] probabilities BinaryCrossentropy,
    "CategoricalCrossentropy" ["categorical_crossentropy"] probabilities CategoricalCrossentropy,
    "SparseCategoricalCrossentropy" ["sparse_categorical_crossentropy"] probabilities
        SparseCategoricalCrossentropy,
    "KLDivergence" ["kl_divergence", "kullback_leibler_divergence", "kld"] probabilities
        KLDivergence,
    "Poisson" ["poisson"] outputs Poisson,
    "Hinge" ["hinge"] outputs Hinge,
    "SquaredHinge" ["squared_hinge"] outputs SquaredHinge,
    "CategoricalHinge" ["categorical_hinge"] outputs CategoricalHinge,
    "ConfusionMatrix" ["confusion_matrix"] probabilities ConfusionMatrix,
    "Mean" ["mean"] outputs Mean,
    "Sum" ["sum"] outputs Sum,
];

/// The string `"accuracy"`, which means another metric than the class `Accuracy`.
pub(super) const ACCURACY: Known = Known {
    class: "accuracy",
    names: &["accuracy", "acc"],
    of_probabilities: true,
    make: |_| Ok(Box::new(Accuracy::new())),
};

/// The metric that answers to `name`. Case and underscores do not matter.
pub(super) fn named(name: &str) -> Result<&'static Known> {
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    let wanted = plain(name);
    let all = || std::iter::once(&ACCURACY).chain(KNOWN);
    let answers = |known: &&Known| known.names.iter().any(|name| plain(name) == wanted);
    if let Some(known) = all().find(answers) {
        return Ok(known);
    }
    let names = all().flat_map(|known| known.names.iter().copied());
    let nearest = near(&regraft_layers::snake_case(name), names);
    let names: Vec<&str> = all().map(|known| known.names[0]).collect();
    let detail = Detail::new("metrics", "the name of a metric", format!("{name:?}"));
    let help = format!("{nearest}; there are {}", names.join(", "));
    Err(Error::Unknown(detail.help(help)))
}

/// The metric of a class.
pub(super) fn class(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.class == name)
}

impl Known {
    /// With these settings.
    pub fn with(&self, config: &Map<String, serde_json::Value>) -> Result<Box<dyn Metric>> {
        let settings = Settings::new(self.class, config);
        // What every metric has is read by whoever makes it.
        settings.ignore(&["name", "dtype"]);
        let make = || {
            let metric = (self.make)(&settings)?;
            settings.finish()?;
            let at = |detail: Detail| detail.within(self.class);
            metric.check().map_err(at)?;
            Ok(metric)
        };
        make().map_err(Error::Argument)
    }
}

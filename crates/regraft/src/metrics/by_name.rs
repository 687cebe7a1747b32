//! Metrics by Keras' names, as in `metrics=["accuracy"]`.

use regraft_tensor::Detail;

use super::*;

type Make = fn() -> Box<dyn Metric>;

/// The names of a metric (its own first, then Keras' short forms) and how to make it.
const METRICS: &[(&[&str], Make)] = &[
    (&["accuracy", "acc"], || Box::new(Accuracy::new())),
    (&["binary_accuracy"], || Box::new(BinaryAccuracy::new())),
    (&["categorical_accuracy"], || {
        Box::new(CategoricalAccuracy::new())
    }),
    (&["sparse_categorical_accuracy"], || {
        Box::new(SparseCategoricalAccuracy::new())
    }),
    (&["top_k_categorical_accuracy"], || {
        Box::new(TopKCategoricalAccuracy::new())
    }),
    (&["sparse_top_k_categorical_accuracy"], || {
        Box::new(SparseTopKCategoricalAccuracy::new())
    }),
    (&["precision"], || Box::new(Precision::new())),
    (&["recall"], || Box::new(Recall::new())),
    (&["f1_score"], || Box::new(F1Score::new(Average::None))),
    (&["auc"], || Box::new(Auc::new())),
    (&["true_positives"], || Box::new(TruePositives::new())),
    (&["true_negatives"], || Box::new(TrueNegatives::new())),
    (&["false_positives"], || Box::new(FalsePositives::new())),
    (&["false_negatives"], || Box::new(FalseNegatives::new())),
    (&["mean_absolute_error", "mae"], || {
        Box::new(MeanAbsoluteError::new())
    }),
    (&["mean_squared_error", "mse"], || {
        Box::new(MeanSquaredError::new())
    }),
    (&["root_mean_squared_error"], || {
        Box::new(RootMeanSquaredError::new())
    }),
    (&["mean_absolute_percentage_error", "mape"], || {
        Box::new(MeanAbsolutePercentageError::new())
    }),
    (&["mean_squared_logarithmic_error", "msle"], || {
        Box::new(MeanSquaredLogarithmicError::new())
    }),
    (&["logcosh", "log_cosh_error"], || {
        Box::new(LogCoshError::new())
    }),
    (&["cosine_similarity"], || Box::new(CosineSimilarity::new())),
    (&["r2_score"], || Box::new(R2Score::new())),
    (&["binary_crossentropy", "bce"], || {
        Box::new(BinaryCrossentropy::new())
    }),
    (&["categorical_crossentropy"], || {
        Box::new(CategoricalCrossentropy::new())
    }),
    (&["sparse_categorical_crossentropy"], || {
        Box::new(SparseCategoricalCrossentropy::new())
    }),
    (&["kl_divergence"], || Box::new(KLDivergence::new())),
    (&["poisson"], || Box::new(Poisson::new())),
    (&["hinge"], || Box::new(Hinge::new())),
    (&["squared_hinge"], || Box::new(SquaredHinge::new())),
    (&["categorical_hinge"], || Box::new(CategoricalHinge::new())),
    (&["mean"], || Box::new(Mean::new())),
];

/// The metric of that name, with Keras' defaults. Case and underscores do not matter, so class names
/// (`"MeanSquaredError"`) and short forms (`"mse"`) do as well. As in Keras, the metric is named as
/// it was asked for: `"acc"` stays `acc` in the history.
///
/// ```
/// use regraft::metrics;
///
/// let metric = metrics::by_name("mse")?;
/// assert_eq!(metric.name(), "mse");
/// assert!(metrics::by_name("acuracy").is_err());
/// # Ok::<(), metrics::Error>(())
/// ```
///
/// # Errors
/// [`Error::Unknown`], listing the names there are.
pub fn by_name(name: &str) -> Result<Box<dyn Metric>> {
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    let wanted = plain(name);
    let found = METRICS
        .iter()
        .find(|(names, _)| names.iter().any(|name| plain(name) == wanted));
    let Some((names, make)) = found else {
        let all: Vec<&str> = METRICS.iter().map(|(names, _)| names[0]).collect();
        return Err(Error::Unknown(
            Detail::new("metrics", "the name of a metric", format!("{name:?}"))
                .help(format!("choose one of {}", all.join(", "))),
        ));
    };
    let metric = make();
    Ok(if names[1..].contains(&name) {
        Box::new(named(name, metric))
    } else {
        metric
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_gives_the_metric_of_that_name() {
        for (names, _) in METRICS {
            for name in *names {
                assert_eq!(by_name(name).unwrap().name(), *name);
            }
        }
        assert_eq!(
            by_name("MeanSquaredError").unwrap().name(),
            "mean_squared_error"
        );
        assert_eq!(by_name("AUC").unwrap().name(), "auc");
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let text = by_name("acuracy").unwrap_err().to_string();
        assert!(
            text.contains("\"acuracy\"") && text.contains("accuracy, binary"),
            "{text}"
        );
    }
}

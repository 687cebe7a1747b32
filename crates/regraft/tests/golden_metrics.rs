//! Every metric against the numbers of real Keras, after each of several batches, with and without
//! sample weights. `fixtures/golden_metrics.py` made them.

use std::path::Path;

use regraft::metrics::*;
use serde_json::Value;

/// The metric of a Keras class and its arguments, as code makes it; `None` where that is left to the
/// configuration.
fn built(class_name: &str, config: &Value) -> Result<Option<Box<dyn Metric>>> {
    let number = |key: &str| config[key].as_f64();
    let float = |key: &str| number(key).map(|value| value as f32);
    let index = |key: &str| config[key].as_u64().map(|value| value as usize);
    let flag = |key: &str| config[key].as_bool().unwrap_or(false);
    let text = |key: &str| config[key].as_str().unwrap_or_default();
    let floats = |key: &str| match &config[key] {
        Value::Null => None,
        Value::Array(all) => Some(
            all.iter()
                .map(|one| one.as_f64().unwrap())
                .collect::<Vec<_>>(),
        ),
        single => Some(vec![single.as_f64().unwrap()]),
    };
    let average = || match config["average"].as_str() {
        None => Average::None,
        Some("micro") => Average::Micro,
        Some("macro") => Average::Macro,
        Some("weighted") => Average::Weighted,
        Some(other) => panic!("average {other}"),
    };
    macro_rules! counts {
        ($name:ident) => {
            match floats("thresholds") {
                Some(thresholds) => $name::new().thresholds(&*thresholds),
                None => $name::new(),
            }
        };
    }
    macro_rules! ratio {
        ($name:ident) => {{
            let mut metric = counts!($name);
            if let Some(k) = index("top_k") {
                metric = metric.top_k(k);
            }
            if let Some(class) = index("class_id") {
                metric = metric.class_id(class);
            }
            Box::new(metric)
        }};
    }
    macro_rules! cross_entropy {
        ($name:ident) => {{
            let metric = $name::new().from_logits(flag("from_logits"));
            Box::new(metric.label_smoothing(number("label_smoothing").unwrap_or(0.0)))
        }};
    }
    if config.get("name").is_some() || config.get("axis").is_some() {
        return Ok(None);
    }
    Ok(Some(match class_name {
        "BinaryAccuracy" => match float("threshold") {
            Some(threshold) => Box::new(BinaryAccuracy::new().threshold(f64::from(threshold))),
            None => Box::new(BinaryAccuracy::new()),
        },
        "TopKCategoricalAccuracy" => {
            Box::new(TopKCategoricalAccuracy::new().k(index("k").unwrap()))
        }
        "SparseTopKCategoricalAccuracy" => Box::new(
            SparseTopKCategoricalAccuracy::new()
                .k(index("k").unwrap())
                .from_sorted_ids(flag("from_sorted_ids")),
        ),
        "TruePositives" => Box::new(counts!(TruePositives)),
        "FalsePositives" => Box::new(counts!(FalsePositives)),
        "TrueNegatives" => Box::new(counts!(TrueNegatives)),
        "FalseNegatives" => Box::new(counts!(FalseNegatives)),
        "Precision" => ratio!(Precision),
        "Recall" => ratio!(Recall),
        "F1Score" => match float("threshold") {
            Some(threshold) => Box::new(F1Score::new(average()).threshold(f64::from(threshold))),
            None => Box::new(F1Score::new(average())),
        },
        "FBetaScore" => {
            let metric = FBetaScore::new(average(), number("beta").unwrap());
            match float("threshold") {
                Some(threshold) => Box::new(metric.threshold(f64::from(threshold))),
                None => Box::new(metric),
            }
        }
        "AUC" => {
            let mut metric = Auc::new()
                .curve(match text("curve") {
                    "PR" => Curve::Pr,
                    "PRGAIN" => Curve::PrGain,
                    _ => Curve::Roc,
                })
                .summation(match text("summation_method") {
                    "minoring" => Summation::Minoring,
                    "majoring" => Summation::Majoring,
                    _ => Summation::Interpolation,
                })
                .multi_label(flag("multi_label"))
                .from_logits(flag("from_logits"));
            if let Some(count) = index("num_thresholds") {
                metric = metric.num_thresholds(count);
            }
            if let Some(thresholds) = floats("thresholds") {
                metric = metric.thresholds(thresholds);
            }
            if let Some(weights) = floats("label_weights") {
                metric = metric.label_weights(weights);
            }
            Box::new(metric)
        }
        "R2Score" => {
            let aggregation = match config.get("class_aggregation") {
                Some(Value::Null) => Aggregation::None,
                Some(_) => Aggregation::VarianceWeightedAverage,
                None => Aggregation::UniformAverage,
            };
            let regressors = index("num_regressors").unwrap_or(0);
            Box::new(
                R2Score::new()
                    .aggregation(aggregation)
                    .num_regressors(regressors),
            )
        }
        "BinaryCrossentropy" => cross_entropy!(BinaryCrossentropy),
        "CategoricalCrossentropy" => cross_entropy!(CategoricalCrossentropy),
        "SparseCategoricalCrossentropy" if index("ignore_class").is_none() => {
            Box::new(SparseCategoricalCrossentropy::new().from_logits(flag("from_logits")))
        }
        // By name it is another metric.
        "Accuracy" => Box::new(ExactAccuracy::new()),
        name if config.as_object().is_some_and(|config| config.is_empty()) => by_name(name)?,
        _ => return Ok(None),
    }))
}

fn data(values: &Value) -> Vec<f32> {
    let values = values.as_array().unwrap();
    values
        .iter()
        .map(|value| value.as_f64().unwrap() as f32)
        .collect()
}

/// Targets without a column per class are class numbers; the file tells by rank.
enum Stored {
    Classes(Vec<i32>),
    Values(Vec<f32>),
}

#[test]
fn every_metric_agrees_with_keras() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden/metrics.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for case in file["cases"].as_array().unwrap() {
        let config = &case["config"];
        let name = case["name"].as_str().unwrap();
        let class_name = config["class_name"].as_str().unwrap();
        let read = |config| from_config(config).unwrap_or_else(|error| panic!("{name}: {error}"));
        let metrics = [
            ("built", built(class_name, &config["config"]).unwrap()),
            ("read", Some(read(&config["serialized"]))),
        ];
        for (how, metric) in metrics {
            let Some(mut metric) = metric else { continue };
            for round in 0..2 {
                metric.reset();
                let batches = &file["data"][case["inputs"]["data"].as_str().unwrap()];
                let results = case["outputs"]["results"].as_array().unwrap();
                let weighted = case["inputs"]["weighted"].as_bool().unwrap();
                for (batch, expected) in batches.as_array().unwrap().iter().zip(results) {
                    update(&mut *metric, batch, weighted);
                    let received = metric.results();
                    if !agrees(&received, expected) {
                        wrong.push(format!(
                            "{name}, {how}, round {round}: {expected}, {received:?}"
                        ));
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What Keras keeps of a metric is read, and written again key by key; what Keras 2 keeps is read, and
/// gives its numbers.
#[test]
fn every_configuration_goes_there_and_back() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden/metrics.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (mut wrong, mut of_keras_2) = (Vec::new(), 0);
    for case in file["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let serialized = &case["config"]["serialized"];
        let again = from_config(serialized).unwrap().serialize();
        if !same(&again, serialized) {
            wrong.push(format!("{name}: {serialized}, {again}"));
        }
        let old = &case["config"]["keras2"];
        if old.is_null() {
            continue;
        }
        of_keras_2 += 1;
        let mut metric = match from_config(old) {
            Ok(metric) => metric,
            Err(error) => {
                wrong.push(format!("{name}, Keras 2: {error}"));
                continue;
            }
        };
        let batches = &file["data"][case["inputs"]["data"].as_str().unwrap()];
        for batch in batches.as_array().unwrap() {
            update(
                &mut *metric,
                batch,
                case["inputs"]["weighted"].as_bool().unwrap(),
            );
        }
        // Where the two versions differ (Keras 2 adds 1e-7 within the logarithm, and leaves ignored rows
        // out of the mean) the numbers are those of Keras 3, which reads the same file.
        let differ = [
            "BinaryCrossentropy",
            "SparseCategoricalCrossentropy",
            "MeanMetricWrapper",
        ];
        let keras_3 = case["outputs"]["results"]
            .as_array()
            .unwrap()
            .last()
            .unwrap();
        let as_keras_3 = differ.iter().any(|class| old["class_name"] == *class)
            && agrees(&metric.results(), keras_3);
        if !as_keras_3 && !agrees(&metric.results(), &old["result"]) {
            wrong.push(format!(
                "{name}, Keras 2: {}, {:?}",
                old["result"],
                metric.results()
            ));
        }
        assert_eq!(metric.name(), old["config"]["name"], "{name}");
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(of_keras_2 > 100, "{of_keras_2}");
}

/// Whether two configurations have the same keys and values; `1` is `1.0`.
fn same(ours: &Value, theirs: &Value) -> bool {
    // Keras reads a list as well as the tensor that it writes.
    if theirs["class_name"] == "__tensor__" {
        return same(ours, &theirs["config"]["value"]);
    }
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len()
                && ours
                    .iter()
                    .zip(theirs)
                    .all(|(ours, theirs)| same(ours, theirs))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours
                    .iter()
                    .all(|(key, value)| theirs.get(key).is_some_and(|theirs| same(value, theirs)))
        }
        (ours, theirs) => ours == theirs,
    }
}

fn agrees(received: &[f64], expected: &Value) -> bool {
    let number = |value: &Value| match value.as_str() {
        Some(_) => f64::NAN,
        None => value.as_f64().unwrap(),
    };
    let expected: Vec<f64> = match expected {
        Value::Array(all) => all.iter().map(number).collect(),
        single => vec![number(single)],
    };
    // Keras computes in f32, where sums of a hundred terms lose about this much.
    let close = |(received, expected): (&f64, &f64)| {
        (received - expected).abs() <= 2e-6 * expected.abs() + 2e-7
            || received.is_nan() && expected.is_nan()
    };
    received.len() == expected.len() && received.iter().zip(&expected).all(close)
}

fn update(metric: &mut dyn Metric, batch: &Value, weighted: bool) {
    let shape = |of: &str| -> Vec<usize> {
        let shape = batch[of]["shape"].as_array().unwrap();
        shape
            .iter()
            .map(|axis| axis.as_u64().unwrap() as usize)
            .collect()
    };
    let values = |of: &str| data(&batch[of]["data"]);
    let prediction_shape = shape("y_pred");
    let targets = if shape("y_true").len() < prediction_shape.len() {
        Stored::Classes(
            values("y_true")
                .into_iter()
                .map(|class| class as i32)
                .collect(),
        )
    } else {
        Stored::Values(values("y_true"))
    };
    let weights = values("sample_weight");
    let batch = Batch {
        targets: match &targets {
            Stored::Classes(classes) => Targets::Classes(classes),
            Stored::Values(values) => Targets::Values(values),
        },
        predictions: &values("y_pred"),
        shape: &prediction_shape,
        sample_weights: weighted.then_some(&weights[..]),
    };
    metric.update(&batch).unwrap();
}

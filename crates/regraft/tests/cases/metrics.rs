//! Metrics with settings come back with them, and with the optimizer.

use std::fs;

use regraft::metrics::{
    self, Accuracy, Auc, Batch, BinaryAccuracy, ConfusionMatrix, F1Score, Metric, Precision,
    TopKCategoricalAccuracy, named,
};
use regraft::ndarray::Array2;
use regraft::optimizers::{SGD, Schedule, Slot, Step, UpdateRule};
use regraft::{Fit, LoadReport, Model, OptimizerState, Registry, Sequential, Tensor, Verbosity};
use regraft_layers::layers::{Dense, Input};
use regraft_layers::{Class, Configured, Loss};
use serde_json::{Map, Value, json};

use crate::common::{case, npy};

fn open(name: &str) -> (Model, LoadReport) {
    Model::open(case(&format!("metric-objects/{name}"))).unwrap()
}

#[test]
fn keras_metric_objects_come_back_with_loss_and_optimizer() {
    let (x, t) = (
        npy::<f32>("metric-objects/x.npy"),
        npy::<f32>("metric-objects/t.npy"),
    );
    // Real Keras evaluates them to these (`fixtures/golden_fitting.py` has the tables of the kind).
    let golden = super::fitting::cases("metric_objects");
    assert_eq!(golden.len(), 2);
    for golden in golden {
        let name = golden["name"].as_str().unwrap();
        let (mut model, report) = open(name);
        assert_eq!(
            report.optimizer,
            OptimizerState::Restored { steps: 1 },
            "{name}"
        );
        let scores = model.evaluate(&x, &t).unwrap();
        for (metric, value) in golden["outputs"].as_object().unwrap() {
            let (ours, value) = (scores.get(metric).unwrap(), value.as_f64().unwrap());
            assert!(
                (ours - value).abs() < 1e-6,
                "{name} {metric}: {ours}, {value}"
            );
        }
    }
    let (model, report) = open("BinaryAccuracy.keras");
    assert!(report.unknown.is_empty(), "{report}");
    assert!(model.metric::<BinaryAccuracy>().is_some());
    let (model, _) = open("AUC.h5");
    assert!(model.metric::<Auc>().is_some());
    // Keras wrote a wrong memory of the optimizer into this one, and does not open it itself.
    let (model, _) = open("TopK.keras");
    let metric = model.metric::<TopKCategoricalAccuracy>().unwrap();
    assert_eq!(metric.config()["k"], 3);
}

fn data(width: usize) -> (Tensor, Array2<f32>) {
    let x = (0..60).map(|i| (i as f32 * 0.7).sin()).collect();
    let hot = |(row, column): (usize, usize)| f32::from(u8::from(row * 7 % width == column));
    let y = Array2::from_shape_fn((20, width), hot);
    (Tensor::new([20, 3], x).unwrap(), y)
}

fn classifier(width: usize) -> Model {
    let layers = vec![
        Input::new([3]).into(),
        Dense::new(width).activation("softmax").into(),
    ];
    Sequential::with_seed(layers, 3).unwrap()
}

fn quiet<'a>() -> Fit<'a> {
    Fit::new().shuffle(false).verbosity(Verbosity::Silent)
}

#[test]
fn settings_survive_saving_in_both_formats() {
    let folder = tempfile::tempdir().unwrap();
    let (x, y) = data(4);
    for ending in ["keras", "h5"] {
        let mut model = classifier(4);
        model
            .compile(
                "adam",
                "categorical_crossentropy",
                (
                    F1Score::new(metrics::Average::Micro).threshold(0.3),
                    named("second", Precision::new().top_k(2).class_id(1)),
                    Auc::new().num_thresholds(7).curve(metrics::Curve::Pr),
                    "accuracy",
                    Accuracy::new(),
                ),
            )
            .unwrap();
        model
            .weighted_metrics((ConfusionMatrix::new(4), "mse"))
            .unwrap();
        model.fit(&x, &y, quiet().epochs(2)).unwrap();
        let path = folder.path().join(format!("model.{ending}"));
        model.save(&path).unwrap();
        let (mut again, report) = Model::open(&path).unwrap();
        assert_eq!(report.optimizer, OptimizerState::Restored { steps: 2 });
        assert!(report.unknown.is_empty(), "{report}");
        let (ours, theirs) = (
            model.evaluate(&x, &y).unwrap(),
            again.evaluate(&x, &y).unwrap(),
        );
        assert_eq!(ours, theirs, "{ending}");
        assert!(again.metric::<ConfusionMatrix>().is_some());
        let serialized =
            |model: &Model| -> Vec<Value> { model.metrics().map(Metric::serialize).collect() };
        assert_eq!(serialized(&model), serialized(&again), "{ending}");
        // Keras has no confusion matrix, so its part of the file has none.
        let bytes = regraft_io::read(&path).unwrap();
        let config = bytes.compile_config.unwrap();
        assert_eq!(config["metrics"].as_array().unwrap().len(), 5);
        assert_eq!(config["weighted_metrics"], json!(["mse"]));
    }
}

#[test]
fn metrics_of_several_outputs_come_back_at_their_outputs() {
    let file = case("dict-outputs");
    assert!(fs::read_dir(file).is_ok());
    for golden in super::fitting::cases("outputs") {
        let config = &golden["config"];
        let checkpoint = |compiled: Value| {
            let model = regraft_layers::Model::from_config(
                &config["model"],
                &regraft_layers::Registry::new(),
            )
            .unwrap();
            let mut model: Model = model.into();
            model.compile("sgd", "mse", ()).unwrap();
            let format = regraft_io::Format::KerasArchive(regraft_io::Dialect::Named);
            let mut checkpoint = model.checkpoint(format).unwrap();
            checkpoint.compile_config.as_mut().unwrap()["metrics"] = compiled;
            checkpoint
        };
        let name = golden["name"].as_str().unwrap();
        let opened = |checkpoint| Model::from_checkpoint(&checkpoint, "memory", &Registry::new());
        let (mut model, report) = opened(checkpoint(config["metrics"].clone())).unwrap();
        assert!(report.unknown.is_empty(), "{name}: {report}");
        let x = Tensor::zeros([4, 3]);
        let scores = model
            .evaluate(&x, (&Tensor::zeros([4, 1]), &Tensor::zeros([4, 1])))
            .unwrap();
        let ours: Vec<&str> = scores
            .metrics
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let theirs: Vec<&str> = golden["outputs"]["names"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let mut sorted = (ours.clone(), theirs.clone());
        sorted.0.sort_unstable();
        sorted.1.sort_unstable();
        assert_eq!(sorted.0, sorted.1, "{name}");
        let format = regraft_io::Format::KerasArchive(regraft_io::Dialect::Named);
        let (again, _) = opened(model.checkpoint(format).unwrap()).unwrap();
        assert_eq!(again.metrics().count(), model.metrics().count(), "{name}");
    }
}

/// `|t − p|` times a factor.
#[derive(Clone, Debug)]
struct Scaled(f32);

impl Configured for Scaled {
    fn class(&self) -> Class<'_> {
        Class::new("mine.Scaled")
    }
    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("factor".to_string(), json!(self.0))])
    }
}

impl Loss for Scaled {
    fn targets(
        &self,
        predictions: &regraft_autograd::Shape,
    ) -> Result<(regraft_autograd::Shape, regraft_autograd::DataType), regraft_tensor::Detail> {
        Ok((predictions.clone(), regraft_autograd::DataType::F32))
    }
    fn call<'g>(
        &self,
        targets: regraft_autograd::Var<'g>,
        predictions: regraft_autograd::Var<'g>,
    ) -> regraft_autograd::Var<'g> {
        ((targets - predictions).abs() * self.0).mean(&[1])
    }
}

impl regraft_layers::ActivationFunction for Scaled {
    fn apply<'g>(&self, x: regraft_autograd::Var<'g>) -> regraft_autograd::Var<'g> {
        x * self.0
    }
}

impl regraft_layers::RegularizerFunction for Scaled {
    fn penalty<'g>(&self, weight: regraft_autograd::Var<'g>) -> regraft_autograd::Var<'g> {
        weight.abs().sum_all() * self.0
    }
}

impl regraft_layers::ConstraintFunction for Scaled {
    fn constrain(&self, weight: &mut Tensor) -> Result<(), regraft_tensor::Detail> {
        for value in weight.as_mut_slice() {
            *value = value.clamp(-self.0, self.0);
        }
        Ok(())
    }
}

impl regraft_layers::InitializerFunction for Scaled {
    fn initialize(
        &self,
        shape: &[usize],
        _key: regraft::random::Key,
    ) -> Result<Tensor, regraft_tensor::Detail> {
        Ok(Tensor::full(shape, self.0))
    }
}

/// Counts samples, `from` upwards.
#[derive(Clone, Debug)]
struct Samples {
    from: f64,
    seen: usize,
}

impl Configured for Samples {
    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("from".to_string(), self.from.into())])
    }
}

impl Metric for Samples {
    fn name(&self) -> &str {
        "samples"
    }
    fn reset(&mut self) {
        self.seen = 0;
    }
    fn update(&mut self, batch: &Batch<'_>) -> metrics::Result<()> {
        self.seen += batch.samples();
        Ok(())
    }
    fn result(&self) -> f64 {
        self.from + self.seen as f64
    }
}

/// Plain descent with a memory of the last gradient.
#[derive(Debug)]
struct Remembering;

impl Configured for Remembering {}

impl UpdateRule for Remembering {
    fn slots(&self, parameter: &regraft::optimizers::ParameterInfo) -> Vec<Slot> {
        vec![Slot::like(parameter, "last")]
    }
    fn update(
        &self,
        step: &Step<'_>,
        value: &mut [f32],
        gradient: &[f32],
        slots: &mut [&mut [f32]],
    ) {
        for ((value, gradient), last) in value.iter_mut().zip(gradient).zip(slots[0].iter_mut()) {
            *value -= step.learning_rate * (gradient + 0.5 * *last);
            *last = *gradient;
        }
    }
}

#[derive(Debug)]
struct Halving(u64);

impl Schedule for Halving {
    fn learning_rate(&self, step: u64) -> f32 {
        0.1 * 0.5_f32.powi((step / self.0) as i32)
    }
}

impl Configured for Halving {
    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("every".to_string(), self.0.into())])
    }
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry
        .register_loss("Scaled", |settings| {
            Ok(Scaled(settings.required("factor")?))
        })
        .register_activation("Scaled", |settings| {
            Ok(Scaled(settings.required("factor")?))
        })
        .register_regularizer("Scaled", |settings| {
            Ok(Scaled(settings.required("factor")?))
        })
        .register_constraint("Scaled", |settings| {
            Ok(Scaled(settings.required("factor")?))
        })
        .register_initializer("Scaled", |settings| {
            Ok(Scaled(settings.required("factor")?))
        })
        .register_metric("Samples", |settings| {
            let from = settings.required("from")?;
            Ok(Samples { from, seen: 0 })
        })
        .register_optimizer("Remembering", |_| Ok(Remembering))
        .register_schedule("Halving", |settings| {
            Ok(Halving(settings.required("every")?))
        });
    registry
}

/// Everything of somebody's own comes back through the one registry, and training goes on bit by bit.
#[test]
fn what_is_of_ones_own_comes_back_through_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let (x, y) = data(2);
    for ending in ["keras", "h5"] {
        let dense = Dense::new(2)
            .activation(Scaled(0.5))
            .kernel_initializer(Scaled(0.25))
            .kernel_regularizer(Scaled(0.01))
            .bias_constraint(Scaled(0.2));
        let mut model =
            Sequential::with_seed(vec![Input::new([3]).into(), dense.into()], 1).unwrap();
        let optimizer = regraft::optimizers::Optimizer::builder(Remembering)
            .learning_rate(Halving(3))
            .build()
            .unwrap();
        let samples = Samples { from: 2.5, seen: 0 };
        model
            .compile(optimizer, Scaled(2.0), (samples, "mae"))
            .unwrap();
        model.fit(&x, &y, quiet().epochs(2).batch_size(8)).unwrap();
        let path = folder.path().join(format!("own.{ending}"));
        model.save(&path).unwrap();

        let error = Model::open(&path).unwrap_err().to_string();
        assert!(error.contains("register_"), "{error}");
        let (mut again, report) = Model::open_with(&path, &registry()).unwrap();
        assert!(report.unknown.is_empty(), "{report}");
        assert_eq!(report.optimizer, OptimizerState::Restored { steps: 6 });
        assert_eq!(
            again.optimizer().unwrap().config(),
            model.optimizer().unwrap().config()
        );
        let more = |model: &mut Model| {
            let history = model.fit(&x, &y, quiet().epochs(3).batch_size(8)).unwrap();
            let weights = model.weights().iter().map(|weight| weight.value().clone());
            (history, weights.collect::<Vec<_>>())
        };
        assert_eq!(more(&mut model), more(&mut again), "{ending}");
    }
}

#[test]
fn a_confusion_matrix_can_be_looked_at_and_a_report_printed() {
    let (x, y) = data(3);
    let mut model = classifier(3);
    model
        .compile(
            SGD::new(0.5),
            "categorical_crossentropy",
            (ConfusionMatrix::new(3), "auc"),
        )
        .unwrap();
    model.set_class_names(["ant", "bee", "cow"]);
    model.fit(&x, &y, quiet().epochs(3)).unwrap();
    let scores = model.evaluate(&x, &y).unwrap();
    let matrix = model.metric::<ConfusionMatrix>().unwrap();
    assert_eq!(matrix.counts().sum(), 20.0);
    assert_eq!(scores.get("confusion_matrix"), Some(matrix.result()));
    // By name it is the metric all the same.
    assert!(model.metric::<Auc>().is_some());
    assert!(model.metric::<BinaryAccuracy>().is_none());
    let (counts, report) = (matrix.counts().clone(), matrix.report());
    let ours = model.classification_report(&x, &y).unwrap();
    assert_eq!(ours.accuracy, report.accuracy);
    assert_eq!(model.confusion_matrix(&x, &y).unwrap().counts(), counts);
    let printed = ours.to_string();
    for part in ["ant", "bee", "cow", "precision", "recall", "f1", "support"] {
        assert!(printed.contains(part), "{printed}");
    }
    // What was compiled is as it was.
    assert_eq!(model.metrics().count(), 2);
    assert!(
        model
            .classification_report(&x, &Tensor::zeros([20, 9]))
            .is_err()
    );
    assert_eq!(model.metrics().count(), 2);
}

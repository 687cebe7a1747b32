//! Opening a whole model from one file: architecture, weights, and how it was trained.

use std::path::Path;

use regraft_io::{Checkpoint, Format};
use regraft_layers::{Model as LayersModel, Registry};
use regraft_optimizers::Optimizer;
use regraft_tensor::Detail;
use serde_json::Value;

use crate::load::{Load, saved_class_names};
use crate::load_report::{LoadReport, OptimizerState};
use crate::metrics::{self, Metric};
use crate::objective::Objective;
use crate::trainable::{Network, Trainable, Training};
use crate::{Error, Result};

impl<N: Network> Trainable<N> {
    /// Opens a model from a file that holds its architecture: `.keras`, or a legacy `.h5` model.
    ///
    /// Layers that the file says are not trainable arrive frozen. If the file says how the model was
    /// compiled, it arrives compiled, with the optimizer's memory, so that training goes on where
    /// it was. Where optimizer, loss or a metric is not known here, the model is not compiled and the
    /// report says why.
    ///
    /// ```no_run
    /// # fn main() -> regraft::Result<()> {
    /// let (mut model, report) = regraft::Sequential::open("pretrained.keras")?;
    /// println!("{report}\n{}", model.summary());
    /// model.freeze(..-1)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::File`] if it holds weights only,
    /// [`Error::Layers`] for an architecture that is not known, [`Error::Load`] if its weights do not
    /// fit its own architecture.
    pub fn open(path: impl AsRef<Path>) -> Result<(Self, LoadReport)> {
        Self::open_with(path, &Registry::new())
    }

    /// As [`open`](Self::open), with layers of your own, which `registry` makes known.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, registry: &Registry) -> Result<(Self, LoadReport)> {
        let path = path.as_ref();
        let checkpoint = regraft_io::read(path)?;
        Self::from_checkpoint(&checkpoint, &path.display().to_string(), registry)
    }

    /// The model that a configuration describes (`config.json` of a `.keras` file, or what Keras'
    /// `serialize_keras_object` gives), with first weights, not compiled.
    ///
    /// # Errors
    /// [`Error::Layers`] for an architecture that is not known.
    pub fn from_config(config: &Value, registry: &Registry) -> Result<Self> {
        let model = LayersModel::from_config(config, registry)?;
        Ok(N::from_model(model)?.into())
    }

    /// As [`open_with`](Self::open_with), from a checkpoint in memory; `source` names it in messages.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_checkpoint(
        checkpoint: &Checkpoint,
        source: &str,
        registry: &Registry,
    ) -> Result<(Self, LoadReport)> {
        let Some(config) = &checkpoint.config else {
            let received = format!("{}, which holds weights only", checkpoint.format);
            let detail = Detail::new(source, "a file with the model's architecture", received);
            return Err(Error::File(detail.help(
                "build the model in code and call `load_weights`, or save it with `save(\"….keras\")`",
            )));
        };
        let mut model = LayersModel::from_config(config, registry)?;
        if checkpoint.format == Format::SavedModel {
            model.hide_within_frozen();
        }
        let mut opened: Self = N::from_model(model)?.into();
        let outputs = opened.network.model().output_names();
        // Keras 3 writes an empty one for a model that was not compiled.
        let compiled = checkpoint
            .compile_config
            .as_ref()
            .filter(|config| !is_empty(config));
        let compiled = compiled.map(|config| training(config, &outputs));
        let failed = match compiled {
            Some(Ok(training)) => {
                opened.training = Some(training);
                None
            }
            Some(Err(error)) => Some(error.to_string()),
            None => None,
        };
        opened.class_names = saved_class_names(checkpoint);
        if checkpoint.format == regraft_io::Format::LegacyModel {
            share_by_values(&mut opened, checkpoint, source)?;
        }
        let mut report = opened.load_checkpoint(checkpoint, source, Load::new())?;
        if let Some(reason) = failed {
            report.optimizer = OptimizerState::NotRestored { reason };
        }
        let policies = opened.network.model().policies().into_iter();
        report.notes.extend(policies.map(|(policy, layers)| {
            format!("{layers} layers have the policy {policy}; they are computed in float32")
        }));
        Ok((opened, report))
    }
}

/// Makes one of layers that are one by their weights; Keras' legacy files say so in no other way.
fn share_by_values<N: Network>(
    opened: &mut Trainable<N>,
    checkpoint: &Checkpoint,
    source: &str,
) -> Result<()> {
    let model = opened.network.model();
    let mut names: Vec<&str> = model
        .places()
        .iter()
        .filter(|p| !p.weights.is_empty())
        .map(|p| p.name)
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    if names.len() == count {
        return Ok(());
    }
    let _ = opened.load_checkpoint(checkpoint, source, Load::new().without_optimizer())?;
    for paths in crate::shared::same_in_every_bit(opened.network.model()) {
        opened.network.model_mut().share_layers(&paths)?;
    }
    Ok(())
}

/// Whether a configuration says that nothing was compiled.
fn is_empty(config: &Value) -> bool {
    let settings = ["loss", "optimizer", "optimizer_config"];
    settings
        .into_iter()
        .all(|setting| config[setting].is_null())
}

/// What `compile` was given, from the `compile_config` of a `.keras` file or the `training_config`
/// of a legacy one.
fn training(config: &Value, outputs: &[String]) -> Result<Training> {
    let optimizer = match &config["optimizer"] {
        Value::Null => &config["optimizer_config"],
        optimizer => optimizer,
    };
    let objective = Objective::from_config(&config["loss"], &config["loss_weights"], outputs)?;
    let optimizer = Optimizer::from_config(optimizer)?;
    let mut training = Training::new(optimizer, objective, metrics(&config["metrics"])?);
    training.weighted_metrics = metrics(&config["weighted_metrics"])?;
    Ok(training)
}

/// Metrics by name, or by class without settings of their own. Keras keeps a list per output, also
/// for a single one.
fn metrics(value: &Value) -> Result<Vec<Box<dyn Metric>>> {
    let refuse = |value: &Value| {
        let detail = Detail::new("metric", "a metric's name, or its class alone", value);
        Err(Error::Setting(detail.help("call `compile` with it")))
    };
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(name) => Ok(vec![metrics::by_name(name)?]),
        Value::Array(values) => {
            let mut all = Vec::new();
            for value in values {
                all.extend(metrics(value)?);
            }
            Ok(all)
        }
        Value::Object(object) => {
            let plain = value["config"]
                .as_object()
                .is_none_or(|config| config.keys().all(|key| key == "name" || key == "dtype"));
            match object.get("class_name") {
                Some(Value::String(class)) if plain => {
                    Ok(vec![metrics::by_name(&regraft_layers::snake_case(class))?])
                }
                _ => refuse(value),
            }
        }
        _ => refuse(value),
    }
}

#[cfg(test)]
mod tests {
    use regraft_layers::layers::{Dense, Input};
    use regraft_optimizers::Adam;
    use regraft_tensor::Tensor;
    use serde_json::json;

    use super::*;
    use crate::{Fit, Sequential, Verbosity};

    fn trained() -> Sequential {
        let layers = regraft_layers::layers![
            Input::new([3]),
            Dense::new(4).activation("relu"),
            Dense::new(2)
        ];
        let mut model = Sequential::with_seed(layers, 7).unwrap();
        model.freeze("dense").unwrap();
        model.compile(Adam::new(0.01), "mse", ["mae"]).unwrap();
        train(&mut model, 2);
        model
    }

    fn train(model: &mut Sequential, epochs: usize) -> f64 {
        let x = Tensor::new([6, 3], (0..18).map(|i| (i as f32).sin()).collect()).unwrap();
        let y = Tensor::new([6, 2], (0..12).map(|i| (i as f32).cos()).collect()).unwrap();
        let fit = Fit::new().epochs(epochs).shuffle(false);
        let history = model.fit(&x, &y, fit.verbosity(Verbosity::Silent)).unwrap();
        history.get("loss").unwrap().last().copied().unwrap()
    }

    #[test]
    fn an_opened_model_goes_on_training_bit_by_bit() {
        let folder = tempfile::tempdir().unwrap();
        for ending in ["keras", "h5"] {
            let mut model = trained();
            let path = folder.path().join(format!("model.{ending}"));
            model.save(&path).unwrap();
            let (mut opened, report) = Sequential::open(&path).unwrap();
            assert_eq!(report.optimizer, OptimizerState::Restored { steps: 2 });
            assert_eq!(train(&mut opened, 3), train(&mut model, 3), "{ending}");
        }
    }

    #[test]
    fn a_file_of_weights_alone_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.weights.h5");
        trained().save_weights(&path).unwrap();
        let error = Sequential::open(&path).unwrap_err().to_string();
        assert!(error.contains("load_weights"), "{error}");
    }

    #[test]
    fn what_cannot_be_compiled_is_said_in_the_report() {
        let model = trained();
        let format = regraft_io::Format::KerasArchive(regraft_io::Dialect::Named);
        let mut checkpoint = model.checkpoint(format).unwrap();
        checkpoint.compile_config.as_mut().unwrap()["loss"] = json!("my_loss");
        let (opened, report) =
            Sequential::from_checkpoint(&checkpoint, "memory", &Registry::new()).unwrap();
        assert!(opened.optimizer().is_none());
        assert!(report.to_string().contains("my_loss"), "{report}");
    }

    #[test]
    fn metrics_are_read_in_every_form_that_keras_has() {
        let config = json!([["accuracy"], {
            "class_name": "MeanAbsoluteError",
            "config": {"name": "mae", "dtype": "float32"},
        }]);
        assert_eq!(metrics(&config).unwrap().len(), 2);
        let config = json!([{"class_name": "Recall", "config": {"name": "r", "top_k": 2}}]);
        assert!(metrics(&config).is_err());
    }
}

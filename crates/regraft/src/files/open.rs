//! Opening a whole model from one file: architecture, weights, and how it was trained.

use std::path::Path;

use regraft_io::{Checkpoint, Format, SavedOptimizer};
use regraft_layers::Model as Network;
use regraft_optimizers::{Error as OptimizerError, Optimizer};
use regraft_tensor::Detail;
use serde_json::Value;

use crate::applications;
use crate::files::keras2;
use crate::files::keys::OWN_METRICS;
use crate::files::load::Load;
use crate::files::load_plan::saved_class_names;
use crate::files::load_report::LoadReport;
use crate::files::loss_scaling::LossScaling;
use crate::files::vocabularies;
use crate::registry::Registry;
use crate::training::compiled::{Training, UnknownOptimizer};
use crate::training::compiled_metrics::CompiledMetrics;
use crate::training::objective::Objective;
use crate::{Error, Model, Result};

impl Model {
    /// Opens a model from a file that holds its architecture: `.keras`, or a legacy `.h5` model.
    ///
    /// Layers that the file says are not trainable arrive frozen. If the file says how the model was
    /// compiled, it arrives compiled, with the optimizer's memory, so that training goes on where
    /// it was. A part that is not known here (an optimizer, loss or metric of somebody's own) does not
    /// keep the others from being restored; the report says what is missing and how to
    /// [register](Self::open_with) it.
    ///
    /// A state dict of PyTorch's (`.pth`, `.safetensors`) that has the tensors of one of
    /// [torchvision's](crate::applications::torchvision) or [timm's](crate::applications::timm) networks gives that
    /// network, for images of the size that it was trained with; a note of the report says which.
    ///
    /// ```no_run
    /// # fn main() -> regraft::Result<()> {
    /// let (mut model, report) = regraft::Model::open("pretrained.keras")?;
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

    /// As [`open`](Self::open), with layers, losses, metrics, optimizers and functions of your own, which
    /// `registry` makes known.
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
        let model = Network::from_config(config, registry)?;
        Ok(model.into())
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
        let completed = vocabularies::completed(checkpoint)?;
        let checkpoint = completed.as_ref().unwrap_or(checkpoint);
        let Some(config) = &checkpoint.config else {
            if let Some(opened) = applications::opened(checkpoint, source)? {
                return Ok(opened);
            }
            let received = format!("{}, which holds weights only", checkpoint.format);
            let detail = Detail::new(source, "a file with the model's architecture", received);
            return Err(Error::File(detail.help(
                "build the model in code and call `load_weights`, or save it with `save(\"….keras\")`",
            )));
        };
        let config = keras2::translated(checkpoint, config);
        let mut model = Network::from_config(&config, registry)?;
        if checkpoint.format == Format::SavedModel {
            model.hide_within_frozen();
        }
        let mut opened: Self = model.into();
        let outputs = opened.network.output_names();
        // Keras 3 writes an empty one for a model that was not compiled.
        let compiled = checkpoint
            .compile_config
            .as_ref()
            .filter(|config| !is_empty(config));
        let mut unknown = Vec::new();
        if let Some(config) = compiled {
            let config = &*keras2::compilation(checkpoint, config, &outputs);
            let own = checkpoint.metadata.entries.get(OWN_METRICS);
            let own = own.and_then(|text| serde_json::from_str(text).ok());
            let memory = checkpoint.optimizer.as_ref();
            let mut training = training(
                config,
                memory,
                own.as_ref(),
                &outputs,
                registry,
                &mut unknown,
            )?;
            if let Some(unknown) = &mut training.unknown_optimizer {
                unknown.memory = checkpoint.optimizer.clone();
                // Without the folder that it lies in, which each kind of file has its own of.
                let variables = unknown.memory.iter_mut().flat_map(|it| &mut it.variables);
                for variable in variables {
                    if let Some((_, path)) = variable.path.split_once("optimizer_weights/") {
                        variable.path = path.to_string();
                    }
                }
            }
            opened.training = Some(training);
        }
        opened.class_names = saved_class_names(checkpoint);
        if checkpoint.format == regraft_io::Format::LegacyModel {
            share_by_values(&mut opened, checkpoint, source)?;
        }
        let mut report = opened.load_checkpoint(checkpoint, source, Load::new())?;
        report.unknown = unknown;
        let policies = opened.network.policies().into_iter();
        report.notes.extend(policies.map(|(policy, layers)| {
            format!("{layers} layers have the policy {policy}; they are computed in float32")
        }));
        Ok((opened, report))
    }
}

/// Makes one of layers that are one by their weights; Keras' legacy files say so in no other way.
fn share_by_values(opened: &mut Model, checkpoint: &Checkpoint, source: &str) -> Result<()> {
    let model = &opened.network;
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
    for paths in crate::files::shared::same_in_every_bit(&opened.network) {
        opened.network.share_layers(&paths)?;
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
/// of a legacy one. Each part that is known is there; why the others are not is added to `unknown`.
fn training(
    config: &Value,
    memory: Option<&SavedOptimizer>,
    own_metrics: Option<&Value>,
    outputs: &[String],
    registry: &Registry,
    unknown: &mut Vec<Detail>,
) -> Result<Training> {
    let (loss, weights) = (&config["loss"], &config["loss_weights"]);
    let objective = match Objective::from_config(loss, weights, outputs, registry) {
        Ok(objective) => objective,
        Err(error) => {
            let reason = detail("loss", &error);
            unknown.push(reason.clone());
            Objective::unknown(reason, loss, weights)
        }
    };
    let optimizer = match &config["optimizer"] {
        Value::Null => &config["optimizer_config"],
        optimizer => optimizer,
    };
    let (optimizer, loss_scaling) = LossScaling::around(optimizer, memory);
    let (optimizer, unknown_optimizer) = match registry.optimizer(optimizer) {
        Ok(known) => (known, None),
        Err(error) => {
            let reason = detail("optimizer", &error.into());
            unknown.push(reason.clone());
            let stand_in = Optimizer::from_name("sgd")?;
            let kept = UnknownOptimizer {
                reason,
                config: optimizer.clone(),
                memory: None,
            };
            (stand_in, Some(Box::new(kept)))
        }
    };
    let listed = own_metrics.unwrap_or(config);
    let mut metrics = |key| CompiledMetrics::from_config(&listed[key], outputs, registry, unknown);
    let mut training = Training::new(optimizer, objective, metrics("metrics"));
    training.weighted_metrics = metrics("weighted_metrics");
    training.unknown_optimizer = unknown_optimizer;
    training.loss_scaling = loss_scaling;
    training.keep_execution(config);
    Ok(training)
}

/// What was wrong with a part of the compilation.
fn detail(part: &str, error: &Error) -> Detail {
    match error {
        Error::Setting(detail) => detail.clone(),
        Error::Optimizer(error) => match error {
            OptimizerError::Hyperparameter(detail)
            | OptimizerError::UnknownName(detail)
            | OptimizerError::Config(detail) => detail.clone(),
            error => Detail::new(part, "one that is known", error),
        },
        error => Detail::new(part, "one that is known", error),
    }
}

#[cfg(test)]
mod tests {
    use regraft_layers::layers::{Dense, Input};
    use regraft_optimizers::Adam;
    use regraft_tensor::Tensor;
    use serde_json::json;

    use super::*;
    use crate::{Fit, OptimizerState, Sequential, Verbosity};

    fn trained() -> Model {
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

    fn train(model: &mut Model, epochs: usize) -> f64 {
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
            let (mut opened, report) = Model::open(&path).unwrap();
            assert_eq!(report.optimizer, OptimizerState::Restored { steps: 2 });
            assert_eq!(train(&mut opened, 3), train(&mut model, 3), "{ending}");
        }
    }

    #[test]
    fn a_file_of_weights_alone_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.weights.h5");
        trained().save_weights(&path).unwrap();
        let error = Model::open(&path).unwrap_err().to_string();
        assert!(error.contains("load_weights"), "{error}");
    }

    #[test]
    fn what_is_not_known_is_said_in_the_report_and_the_rest_restored() {
        let model = trained();
        let format = regraft_io::Format::KerasArchive(regraft_io::Dialect::Named);
        let saved = |key: &str, value: Value| {
            let mut checkpoint = model.checkpoint(format).unwrap();
            checkpoint.compile_config.as_mut().unwrap()[key] = value;
            let opened = Model::from_checkpoint(&checkpoint, "memory", &Registry::new());
            let (opened, report) = opened.unwrap();
            let again = opened.checkpoint(format).unwrap().compile_config.unwrap();
            (
                opened,
                report.to_string(),
                again,
                checkpoint.compile_config.unwrap(),
            )
        };
        let (mut opened, report, again, first) = saved("loss", json!("my_loss"));
        assert!(
            report.contains("registry.register_loss(\"my_loss\""),
            "{report}"
        );
        assert_eq!(opened.optimizer().unwrap().iterations(), 2);
        assert_eq!(again, first);
        let x = Tensor::zeros([6, 3]);
        let y = Tensor::zeros([6, 2]);
        assert!(opened.fit(&x, &y, Fit::new()).is_err());
        opened.losses(["mse"]).unwrap();
        train(&mut opened, 1);
        assert_eq!(opened.optimizer().unwrap().iterations(), 3);

        let own = json!({"class_name": "Mine", "config": {"learning_rate": 0.1, "calm": 2}});
        let (mut opened, report, again, first) = saved("optimizer", own);
        assert!(
            report.contains("registry.register_optimizer(\"Mine\""),
            "{report}"
        );
        assert!(opened.optimizer().is_none());
        assert_eq!(again, first);
        assert!(opened.evaluate(&x, &y).is_ok());
        let error = opened.fit(&x, &y, Fit::new()).unwrap_err().to_string();
        assert!(error.contains("set_optimizer"), "{error}");
        opened.set_optimizer("adam").unwrap();
        train(&mut opened, 1);

        let metrics = json!([{"class_name": "Mine", "config": {"name": "m"}}, "mae"]);
        let (opened, report, _, _) = saved("metrics", metrics);
        assert!(
            report.contains("registry.register_metric(\"Mine\""),
            "{report}"
        );
        assert_eq!(opened.optimizer().unwrap().iterations(), 2);
        assert_eq!(opened.metrics().count(), 1);
    }
}

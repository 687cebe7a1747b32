//! `regraft plan`: what training would run, keep and cost; of a model, or of a folder of pictures.

use std::path::PathBuf;

use clap::Args;
use regraft::Model;
use regraft::extend::{Detail, json};
use regraft::{IntoSelector, Runs, Selector};
use regraft_pictures::{Config, Forecast, forecast};

use crate::failure::{Failure, Result};
use crate::format;
use crate::network::Network;
use crate::output::{Answer, Output};

/// Show what training would run, keep and cost, before it is run: of a model, or on a folder of pictures
#[derive(Debug, Args)]
#[command(after_help = "\
A selector is the name of a layer, a pattern (block*/conv*), a position (-1) or a range of positions (..-1). \
Selectors are applied in the order: first all of --freeze, then all of --unfreeze.

Examples:
  regraft plan model.keras
  regraft plan model.keras --freeze ..-1 --samples 2000 --batch-size 64
  regraft plan model.keras --freeze '*' --unfreeze 'head*' --every-layer
  regraft plan photos/ --backbone mobilenet_v2")]
pub struct Plan {
    /// A model, or a folder of pictures (or a CSV file) as `regraft train` takes it
    file: PathBuf,
    /// How many samples an epoch has
    #[arg(long, default_value_t = 1000)]
    samples: usize,
    /// How many samples a step takes
    #[arg(long, default_value_t = 32)]
    batch_size: usize,
    /// Freeze these layers or weights
    #[arg(long, value_name = "SELECTOR", allow_hyphen_values = true)]
    freeze: Vec<String>,
    /// Train these layers or weights
    #[arg(long, value_name = "SELECTOR", allow_hyphen_values = true)]
    unfreeze: Vec<String>,
    /// The loss, if the file does not say how the model was compiled
    #[arg(long, default_value = "mse")]
    loss: String,
    /// Show every layer of nested models
    #[arg(long)]
    every_layer: bool,
    #[command(flatten)]
    network: Network,
}

impl Plan {
    pub fn run(&self, output: &Output) -> Result<Answer> {
        let is_model =
            self.file.join("saved_model.pb").exists() || self.file.join("model.json").exists();
        let is_table = self.file.extension().is_some_and(|ending| ending == "csv");
        if self.file.is_dir() && !is_model || is_table {
            return self.of_pictures(output);
        }
        let (mut model, _report) = Model::open(&self.file)?;
        for text in &self.freeze {
            model.freeze(selector("--freeze", text)?)?;
        }
        for text in &self.unfreeze {
            model.unfreeze(selector("--unfreeze", text)?)?;
        }
        if model.optimizer().is_none() {
            output.note(&format!(
                "not compiled: planned for Adam and the loss {}",
                self.loss
            ));
            model.compile("adam", self.loss.as_str(), ())?;
        }
        let plan = model.plan(self.samples, self.batch_size)?;
        let layers: Vec<_> = plan
            .layers
            .iter()
            .map(|layer| {
                json!({
                    "path": layer.path,
                    "class": layer.class_name,
                    "parameters": layer.parameters,
                    "freezing": layer.freezing.to_string(),
                    "trained_alone": layer.trained_alone,
                    "runs": match layer.runs {
                        Runs::Never => "never",
                        Runs::OncePerSample => "once per sample",
                        Runs::EveryStep => "every step",
                        Runs::EveryStepWithGradient => "every step, with gradient",
                    },
                })
            })
            .collect();
        let json = json!({
            "samples": plan.samples,
            "batch_size": plan.batch_size,
            "layers": layers,
            "features_per_sample": plan.features_per_sample,
            "feature_bytes": plan.feature_bytes(),
            "features_kept": plan.features_kept,
            "operations_per_epoch": plan.operations_per_epoch,
            "operations_without_cache": plan.operations_without_cache,
            "operations_if_all_trained": plan.operations_if_all_trained,
            "buffer_bytes": plan.buffer_bytes,
        });
        let text = match self.every_layer {
            true => format!("{plan:#}"),
            false => plan.to_string(),
        };
        Ok(Answer::new(text, json))
    }
}

impl Plan {
    fn of_pictures(&self, output: &Output) -> Result<Answer> {
        regraft_pictures::opened(&self.file)?;
        self.network.fetch(output)?;
        let mut config = Config::default();
        config.photos.clone_from(&self.file);
        self.network.set(&mut config);
        let plan = forecast(&config)?;
        let classes = plan
            .classes
            .iter()
            .map(|(name, files)| json!({"class": name, "files": files}));
        let json = json!({
            "files": plan.files,
            "bytes": plan.bytes,
            "classes": classes.collect::<Vec<_>>(),
            "backbone": plan.backbone,
            "features": plan.features,
            "decode_seconds": plan.decode_seconds,
            "network_seconds": plan.network_seconds,
            "seconds": plan.seconds,
            "memory": plan.memory,
            "disk": plan.disk,
        });
        Ok(Answer::new(told(&plan), json))
    }
}

/// A plan for pictures in words.
fn told(plan: &Forecast) -> String {
    let mut text = format!(
        "{} files, {}\n",
        format::count(plan.files as u64),
        format::bytes(plan.bytes)
    );
    for (class, files) in &plan.classes {
        text += &format!("  {files:>7}  {class}\n");
    }
    for told in &plan.backbone {
        text += &format!("{told}\n");
    }
    let milliseconds = |seconds: f64| format!("{:.1} ms", 1e3 * seconds);
    text += &format!(
        "a picture takes {} to decode and check and {} in the network, for {} features\n",
        milliseconds(plan.decode_seconds),
        milliseconds(plan.network_seconds),
        plan.features
    );
    let seconds = std::time::Duration::from_secs_f64(plan.seconds);
    text += &format!(
        "in all about {}, {} of memory",
        format::duration(seconds),
        format::bytes(plan.memory)
    );
    text + &format!(", {} on disk for the next time\n", format::bytes(plan.disk))
}

/// A selector as it is written in code: `..-1`, `-1`, `block*`.
fn selector(option: &str, text: &str) -> Result<Selector> {
    let position = |text: &str| -> Result<i32> {
        let wrong = |_| Detail::new(option, "a position such as -1", format!("{text:?}"));
        text.parse().map_err(|error| Failure::usage(wrong(error)))
    };
    let numeric = |text: &str| text.is_empty() || text.parse::<i64>().is_ok();
    Ok(match text.split_once("..") {
        Some((from, to)) if numeric(from) && numeric(to) => match (from, to) {
            ("", "") => (..).into_selector(),
            ("", to) => (..position(to)?).into_selector(),
            (from, "") => (position(from)?..).into_selector(),
            (from, to) => (position(from)?..position(to)?).into_selector(),
        },
        _ if text.parse::<i64>().is_ok() => position(text)?.into_selector(),
        _ => text.into_selector(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_written_as_in_code() {
        let shown = |text: &str| format!("{:?}", selector("--freeze", text).unwrap());
        let of = |selector: Selector| format!("{selector:?}");
        assert_eq!(shown("..-1"), of((..-1).into_selector()));
        assert_eq!(shown("2.."), of((2..).into_selector()));
        assert_eq!(shown("-1"), of((-1).into_selector()));
        assert_eq!(shown(".."), of((..).into_selector()));
        assert_eq!(shown("block*/conv"), of("block*/conv".into_selector()));
        assert!(selector("--freeze", "..99999999999").is_err());
    }
}

//! `regraft summary`: the table of a model's layers.

use std::path::PathBuf;

use clap::Args;
use regraft::Model;
use regraft::extend::{LayerInfo, Value, json};

use crate::failure::Result;
use crate::output::{Answer, Output};

/// Show the layers of a model with their shapes and parameters, as Keras prints them
#[derive(Debug, Args)]
#[command(after_help = "\
FILE has the model's architecture: .keras, a whole-model .h5, model.json of TensorFlow.js, a SavedModel folder.

Examples:
  regraft summary model.keras
  regraft summary model.keras --expand-nested
  regraft summary model.keras --json | jq .parameters.trainable")]
pub struct Summary {
    /// A model
    file: PathBuf,
    /// Show the layers of nested models, too
    #[arg(long)]
    expand_nested: bool,
    /// Show which layers are trained, also where all are
    #[arg(long)]
    show_trainable: bool,
    /// The width of the table
    #[arg(long, value_name = "CHARACTERS")]
    line_length: Option<usize>,
}

impl Summary {
    pub fn run(&self, _: &Output) -> Result<Answer> {
        let (model, _report) = Model::open(&self.file)?;
        let mut summary = model.summary().expand_nested(self.expand_nested);
        if self.show_trainable {
            summary = summary.show_trainable(true);
        }
        if let Some(length) = self.line_length {
            summary = summary.line_length(length);
        }
        let count = summary.count();
        let json = json!({
            "name": model.name(),
            "class": model.class_name(),
            "parameters": {
                "total": count.total(),
                "trainable": count.trainable,
                "frozen": count.frozen,
                "state": count.state,
            },
            "layers": layers(&model.layers()),
        });
        Ok(Answer::new(summary.to_string(), json))
    }
}

fn layers(layers: &[LayerInfo<'_>]) -> Value {
    let layer = |layer: &LayerInfo<'_>| {
        let mut value = json!({
            "path": layer.path(),
            "class": layer.class_name(),
            "output_shape": layer.output_shape().map(ToString::to_string),
            "parameters": layer.count_parameters().total(),
            "freezing": layer.freezing().to_string(),
        });
        let inner = layer.layers();
        if !inner.is_empty() {
            value["layers"] = self::layers(&inner);
        }
        value
    };
    layers.iter().map(layer).collect()
}

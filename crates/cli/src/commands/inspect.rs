//! `regraft inspect`: what a file holds.

use std::path::PathBuf;

use clap::Args;
use regraft::extend::{Value, json};
use regraft::{InspectedTensor, Inspection};

use crate::failure::Result;
use crate::format;
use crate::output::{Answer, Output};

/// Show what a file of any format holds: layers, tensors, what is frozen, the optimizer
#[derive(Debug, Args)]
#[command(after_help = "\
Reads .keras, .weights.h5, .h5, .weights.json, .safetensors, .pt, .pth, TensorFlow checkpoints, SavedModel \
folders and TensorFlow.js models; the format is told by the content.

Examples:
  regraft inspect model.keras
  regraft inspect model.h5 --json | jq '.tensors[] | select(.role == \"trained\") | .layer'
  regraft inspect weights.pth --csv > tensors.csv")]
pub struct Inspect {
    /// A model or weights
    file: PathBuf,
}

impl Inspect {
    pub fn run(&self, _: &Output) -> Result<Answer> {
        let inspection = regraft::inspect(&self.file)?;
        let answer = Answer::new(inspection.to_string(), json(&inspection));
        let header = ["layer", "class", "name", "type", "shape", "role", "address"];
        Ok(answer.with_rows(header, inspection.tensors.iter().map(row)))
    }
}

fn json(inspection: &Inspection) -> Value {
    let tensor = |tensor: &InspectedTensor| {
        json!({
            "layer": tensor.layer,
            "class": tensor.class_name,
            "name": tensor.name,
            "address": tensor.address,
            "type": tensor.data_type.name(),
            "shape": tensor.shape,
            "role": tensor.role.map(|role| role.to_string()),
        })
    };
    let optimizer = inspection.optimizer.as_ref().map(|optimizer| {
        json!({
            "name": optimizer.name,
            "steps": optimizer.steps,
            "tensors": optimizer.tensors,
            "bytes": optimizer.bytes,
        })
    });
    let model = inspection.model.as_ref().map(|(class, name)| {
        json!({
            "class": class,
            "name": name,
            "inputs": inspection.inputs,
            "outputs": inspection.outputs,
        })
    });
    json!({
        "path": inspection.path.display().to_string(),
        "format": inspection.format.to_string(),
        "bytes": inspection.bytes,
        "keras_version": inspection.keras_version,
        "date_saved": inspection.date_saved,
        "model": model,
        "class_names": inspection.class_names,
        "compiled": inspection.compiled,
        "optimizer": optimizer,
        "elements": inspection.elements(),
        "tensors": inspection.tensors.iter().map(tensor).collect::<Vec<_>>(),
        "others": inspection.others,
        "notes": inspection.notes,
    })
}

fn row(tensor: &InspectedTensor) -> Vec<String> {
    vec![
        tensor.layer.clone(),
        tensor.class_name.clone().unwrap_or_default(),
        tensor.name.clone(),
        tensor.data_type.name().to_string(),
        format::shape(&tensor.shape),
        tensor.role.map(|role| role.to_string()).unwrap_or_default(),
        tensor.address.clone(),
    ]
}

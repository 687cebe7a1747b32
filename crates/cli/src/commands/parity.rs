//! `regraft parity`: where two models, or a model and another program, begin to compute something else.

use std::path::PathBuf;

use clap::Args;
use regraft::Model;
use regraft::extend::json;
use regraft::parity::Reference;

use crate::failure::Result;
use crate::format;
use crate::output::{Answer, Output};

/// Compare a model layer by layer with another file of it, or with activations of another program
#[derive(Debug, Args)]
#[command(after_help = "\
With B, both models run on the same random samples. With --reference, the file has the input as `x` (or one \
array `input…` for each) and outputs of layers under their names; fixtures/activations.py in the repository \
writes one from Keras or PyTorch. Exits with 3 if a layer differs.

Examples:
  regraft parity model.h5 converted.keras
  regraft parity model.keras --reference activations.npz --tolerance 1e-5")]
pub struct Parity {
    /// A model
    a: PathBuf,
    /// Another file of it
    #[arg(required_unless_present = "reference", conflicts_with = "reference")]
    b: Option<PathBuf>,
    /// Compare with the arrays of an .npz file
    #[arg(long, value_name = "NPZ")]
    reference: Option<PathBuf>,
    /// The difference up to which layers count as the same, in parts of the largest number
    #[arg(long, default_value_t = 1e-4)]
    tolerance: f32,
    /// How many random samples are compared
    #[arg(long, default_value_t = 2)]
    samples: usize,
    /// The seed of the samples
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl Parity {
    pub fn run(&self, _: &Output) -> Result<Answer> {
        let (model, _report) = Model::open(&self.a)?;
        let report = match (&self.b, &self.reference) {
            (Some(b), _) => {
                let (other, _report) = Model::open(b)?;
                model.parity_with(&other, self.samples, self.seed, self.tolerance)?
            }
            (None, Some(reference)) => {
                model.parity(&Reference::read(reference)?, self.tolerance)?
            }
            (None, None) => unreachable!("one of them is required"),
        };
        let header = ["layer", "class", "shape", "absolute", "relative", "differs"];
        let (mut rows, mut layers) = (Vec::new(), Vec::new());
        for layer in &report.layers {
            let differs = layer.relative > report.tolerance;
            layers.push(json!({
                "layer": layer.path,
                "class": layer.class_name,
                "shape": layer.shape,
                "absolute": layer.absolute,
                "relative": layer.relative,
                "at": layer.at,
                "differs": differs,
            }));
            rows.push(vec![
                layer.path.clone(),
                layer.class_name.clone(),
                format::shape(&layer.shape),
                layer.absolute.to_string(),
                layer.relative.to_string(),
                differs.to_string(),
            ]);
        }
        let first = report.first_difference().map(|layer| layer.path.clone());
        let json = json!({
            "tolerance": report.tolerance,
            "first_difference": first,
            "layers": layers,
        });
        let answer = Answer::new(report.to_string(), json).with_rows(header, rows);
        Ok(answer.with_findings(first.is_some()))
    }
}

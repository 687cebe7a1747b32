//! `regraft graph`: a model's data-flow graph.

use std::path::PathBuf;

use clap::Args;
use regraft::Model;
use regraft::extend::{Mode, Source, json, passes};
use regraft::io::write_file;

use crate::failure::Result;
use crate::output::{Answer, Output};
use crate::target;

/// Show a model's data-flow graph: what is constant, what is trained, and what is computed of it
#[derive(Debug, Args)]
#[command(after_help = "\
What is frozen is a constant of the graph, what is trained a variable. FILE as of `regraft summary`.

Examples:
  regraft graph model.keras
  regraft graph model.keras --svg graph.svg
  regraft graph model.keras --optimized --dot graph.dot")]
pub struct Graph {
    /// A model
    file: PathBuf,
    /// Draw the graph to this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write the graph for Graphviz to this file
    #[arg(long, value_name = "FILE")]
    dot: Option<PathBuf>,
    /// The graph as it runs in prediction: all weights constant, folded and fused
    #[arg(long)]
    optimized: bool,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

impl Graph {
    pub fn run(&self, _: &Output) -> Result<Answer> {
        for path in [&self.svg, &self.dot].into_iter().flatten() {
            target::claim(path, self.force)?;
        }
        let (model, _report) = Model::open(&self.file)?;
        let nodes = match self.optimized {
            true => passes::optimize(&model.nodes(Mode::Constant)?),
            false => model.nodes(Mode::Inference)?,
        };
        for (path, drawn) in [(&self.svg, true), (&self.dot, false)] {
            if let Some(path) = path {
                let text = if drawn {
                    nodes.to_svg()
                } else {
                    nodes.to_dot()
                };
                write_file(path, text.as_bytes())?;
            }
        }
        let list: Vec<_> = nodes
            .iter()
            .map(|(id, node)| {
                let (kind, op) = match &node.source {
                    Source::Input { .. } => ("input", None),
                    Source::Variable(_) => ("variable", None),
                    Source::Constant(_) => ("constant", None),
                    Source::Op { op, .. } => ("op", Some(op.name())),
                };
                let operands: Vec<usize> = node.operands().iter().map(|id| id.0).collect();
                json!({
                    "id": id.0,
                    "kind": kind,
                    "op": op,
                    "name": node.name,
                    "shape": node.shape.to_string(),
                    "operands": operands,
                })
            })
            .collect();
        let outputs: Vec<usize> = nodes.outputs().iter().map(|id| id.0).collect();
        let json = json!({"nodes": list, "outputs": outputs});
        let written = [&self.svg, &self.dot].into_iter().flatten();
        let written: Vec<String> = written
            .map(|path| format!("wrote {}", path.display()))
            .collect();
        let text = match written.is_empty() {
            true => nodes.to_string(),
            false => written.join("\n"),
        };
        Ok(Answer::new(text, json))
    }
}

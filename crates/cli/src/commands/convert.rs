//! `regraft convert`: one kind of file to another.

use std::path::PathBuf;

use clap::Args;
use regraft::extend::json;
use regraft::io;

use crate::failure::Result;
use crate::output::{Answer, Output};
use crate::target;

/// Write what a file holds in the format that another name asks for
#[derive(Debug, Args)]
#[command(after_help = "\
The ending of TO says the format: .keras, .weights.h5, .weights.json (shards), .h5, .safetensors. FROM is of any \
format that `regraft inspect` reads. What TO's format has no place for is named; nothing is guessed. TO is \
written whole or not at all.

Examples:
  regraft convert model.h5 model.keras
  regraft convert model.keras model.safetensors --force")]
pub struct Convert {
    /// The file to read
    from: PathBuf,
    /// The file to write
    to: PathBuf,
    /// Replace TO if it is there
    #[arg(long)]
    force: bool,
}

impl Convert {
    pub fn run(&self, _: &Output) -> Result<Answer> {
        target::claim(&self.to, self.force)?;
        let checkpoint = io::read(&self.from)?;
        let dropped = io::write(&self.to, &checkpoint)?;
        let format = io::Format::of_path(&self.to, checkpoint.config.is_some())?;
        let (from, to) = (self.from.display(), self.to.display());
        let mut text = format!("{from} ({}) → {to} ({format})\n", checkpoint.format);
        for dropped in &dropped {
            text.push_str(&format!("left out: {dropped}\n"));
        }
        let json = json!({
            "from": from.to_string(),
            "from_format": checkpoint.format.to_string(),
            "to": to.to_string(),
            "to_format": format.to_string(),
            "left_out": dropped,
        });
        Ok(Answer::new(text, json))
    }
}

//! What every command takes.

use std::path::PathBuf;

use clap::Args;

/// What every command takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Print one JSON document
    #[arg(long, global = true, conflicts_with = "csv")]
    pub json: bool,
    /// Print the answer's table as CSV
    #[arg(long, global = true)]
    pub csv: bool,
    /// Print the answer and errors, and nothing besides
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Read defaults of options from this file [default: regraft.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "no_config")]
    pub config: Option<PathBuf>,
    /// Read no file with defaults
    #[arg(long, global = true)]
    pub no_config: bool,
}

//! Where what is computed of pictures is kept from run to run.

use std::path::PathBuf;

use clap::Args;

/// Where what is computed is kept from run to run.
#[derive(Debug, Args)]
pub struct Kept {
    /// Where features are kept [default: $REGRAFT_HOME/cache, or ~/.regraft/cache]
    #[arg(long, value_name = "FOLDER")]
    pub cache: Option<PathBuf>,
}

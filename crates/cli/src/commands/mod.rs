//! The commands, a file each. A command has its arguments as fields, and `run`, which calls the library and says
//! how the answer reads.

mod completions;
mod convert;
mod graph;
mod inspect;
mod man;
mod parity;
mod plan;
mod summary;
mod weights;

use clap::Subcommand;

use crate::failure::Result;
use crate::output::{Answer, Output};

/// The commands in the order of the help.
#[derive(Debug, Subcommand)]
pub enum Command {
    Inspect(inspect::Inspect),
    Convert(convert::Convert),
    Summary(summary::Summary),
    Graph(graph::Graph),
    Parity(parity::Parity),
    Plan(plan::Plan),
    Weights(weights::Weights),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// Whether the answer has a table, which `--csv` prints.
    pub fn has_table(&self) -> bool {
        matches!(
            self,
            Command::Inspect(_) | Command::Parity(_) | Command::Weights(_)
        )
    }

    /// Does what was asked.
    pub fn run(&self, output: &Output) -> Result<Answer> {
        match self {
            Command::Inspect(command) => command.run(output),
            Command::Convert(command) => command.run(output),
            Command::Summary(command) => command.run(output),
            Command::Graph(command) => command.run(output),
            Command::Parity(command) => command.run(output),
            Command::Plan(command) => command.run(output),
            Command::Weights(command) => command.run(output),
            Command::Completions(command) => command.run(output),
            Command::Man(command) => command.run(output),
        }
    }
}

//! The commands, a file each. A command has its arguments as fields, and `run`, which calls the library and says
//! how the answer reads.

mod check;
mod completions;
mod convert;
mod evaluate;
mod graph;
mod inspect;
mod label;
mod man;
mod parity;
mod pick;
mod plan;
mod predict;
mod summary;
mod train;
mod weights;

use clap::Subcommand;

use crate::failure::Result;
use crate::output::{Answer, Output};

/// The commands in the order of the help.
#[derive(Debug, Subcommand)]
pub enum Command {
    Train(train::Train),
    Predict(predict::Predict),
    Evaluate(evaluate::Evaluate),
    Check(check::Check),
    Pick(pick::Pick),
    Label(label::Label),
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
            Command::Train(_)
                | Command::Predict(_)
                | Command::Evaluate(_)
                | Command::Check(_)
                | Command::Pick(_)
                | Command::Label(_)
                | Command::Inspect(_)
                | Command::Parity(_)
                | Command::Weights(_)
        )
    }

    /// Does what was asked. `whole` makes the command with all its arguments, of which some tell.
    pub fn run(&self, output: &Output, whole: fn() -> clap::Command) -> Result<Answer> {
        match self {
            Command::Train(command) => command.run(output),
            Command::Predict(command) => command.run(output),
            Command::Evaluate(command) => command.run(output),
            Command::Check(command) => command.run(output),
            Command::Pick(command) => command.run(output),
            Command::Label(command) => command.run(output),
            Command::Inspect(command) => command.run(output),
            Command::Convert(command) => command.run(output),
            Command::Summary(command) => command.run(output),
            Command::Graph(command) => command.run(output),
            Command::Parity(command) => command.run(output),
            Command::Plan(command) => command.run(output),
            Command::Weights(command) => command.run(output),
            Command::Completions(command) => command.run(whole()),
            Command::Man(command) => command.run(whole()),
        }
    }
}

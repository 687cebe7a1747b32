//! What can be written behind `regraft`, and how it is read: `regraft.toml` first, then the arguments, which win.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser};

use crate::commands::Command;
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::global::Global;
use crate::negation::with_negations;

const EXAMPLES: &str = "\
Examples:
  regraft train photos/                           a folder of pictures to a classifier and a report
  regraft predict photos.regraft new/*.jpg        what is on pictures
  regraft inspect model.keras                     what a file holds
  regraft convert model.h5 model.safetensors      another format
  regraft plan model.keras --freeze '..-1'        what training would run, keep and cost
  regraft completions bash > ~/.local/share/bash-completion/completions/regraft

Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 done and something was found, 130 interrupted.
Defaults for all options can stand in a file regraft.toml.";

/// Transfer learning: from a folder of pictures to a classifier, and tools for model files.
#[derive(Debug, Parser)]
#[command(name = "regraft", version, propagate_version = true, after_help = EXAMPLES)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Reads the arguments of the process. `--help` and `--version` are answered here and end it.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let given = command()
        .try_get_matches_from(&arguments)
        .map_err(refused)?;
    let global = Global::from_arg_matches(&given).map_err(refused)?;
    let config = match global.no_config {
        true => None,
        false => Config::find(global.config.as_deref())?,
    };
    let matches = match config {
        Some(config) => config
            .applied(command(), &given)?
            .try_get_matches_from(&arguments)
            .map_err(refused)?,
        None => given,
    };
    Arguments::from_arg_matches(&matches).map_err(refused)
}

/// What clap did not take, but for a question of which it has the answer.
fn refused(error: clap::Error) -> Failure {
    match error.use_stderr() && error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        true => Failure::arguments(&error),
        false => error.exit(),
    }
}

/// The whole command.
pub fn command() -> clap::Command {
    with_negations(Arguments::command())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_and_every_option_help() {
        for command in command().get_subcommands() {
            let name = command.get_name();
            let after = command.get_after_help().map(ToString::to_string);
            assert!(after.is_some_and(|text| text.contains("regraft")), "{name}");
            assert!(command.get_about().is_some(), "{name}");
            for argument in command.get_arguments().filter(|it| !it.is_hide_set()) {
                assert!(
                    argument.get_help().is_some(),
                    "{name} {}",
                    argument.get_id()
                );
            }
        }
    }
}

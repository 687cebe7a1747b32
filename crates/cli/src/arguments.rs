//! What can be written behind `regraft`, and how it is read: `regraft.toml` first, then the arguments, which win.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Args, CommandFactory, FromArgMatches, Parser};

use crate::commands::Command;
use crate::config::Config;
use crate::failure::Result;

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

/// Reads the arguments of the process. What clap answers itself (`--help`, `--version`, wrong usage) ends it.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let given = command().get_matches_from(&arguments);
    let global = Global::from_arg_matches(&given).unwrap_or_else(|error| error.exit());
    let config = match global.no_config {
        true => None,
        false => Config::find(global.config.as_deref())?,
    };
    let matches = match config {
        Some(config) => config
            .applied(command(), &given)?
            .get_matches_from(&arguments),
        None => given,
    };
    Ok(
        Arguments::from_arg_matches(&matches).unwrap_or_else(|error| {
            debug_assert_ne!(error.kind(), ErrorKind::UnknownArgument);
            error.exit()
        }),
    )
}

/// The whole command; every switch `--x` has a `--no-x`, which undoes it where `regraft.toml` has it on.
pub fn command() -> clap::Command {
    with_negations(Arguments::command())
}

fn with_negations(command: clap::Command) -> clap::Command {
    let switches: Vec<(String, bool)> = command
        .get_arguments()
        .filter(|argument| matches!(argument.get_action(), ArgAction::SetTrue))
        .filter_map(|argument| Some((argument.get_long()?.to_string(), argument.is_global_set())))
        .filter(|(long, _)| !long.starts_with("no-"))
        .collect();
    let commands: Vec<String> = command
        .get_subcommands()
        .map(|command| command.get_name().to_string())
        .collect();
    let mut command = command;
    for (long, global) in switches {
        let negation = Arg::new(negation(&long))
            .long(negation(&long))
            .action(ArgAction::SetTrue)
            .global(global)
            .hide(true);
        command = command.arg(negation);
    }
    for name in commands {
        command = command.mut_subcommand(name, with_negations);
    }
    command
}

/// The name of what turns a switch off.
pub fn negation(long: &str) -> String {
    format!("no-{long}")
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

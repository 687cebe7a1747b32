//! Every switch `--x` has a `--no-x`, which undoes it where `regraft.toml` has it on.

use clap::{Arg, ArgAction, Command};

/// The command with what turns its switches off, and so its commands.
pub fn with_negations(command: Command) -> Command {
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

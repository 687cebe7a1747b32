//! The command `regraft`: arguments, printing, exit codes, and nothing else. What it does, the library does.

mod arguments;
mod commands;
mod config;
mod download;
mod failure;
mod format;
mod global;
mod interrupt;
mod kept;
mod negation;
mod network;
mod output;
mod share;
mod stage;
mod table;
mod target;
mod visible;
mod watch;

use std::process::ExitCode;

use crate::failure::{Code, Result};
use crate::output::Output;

fn main() -> ExitCode {
    interrupt::install();
    // Until the arguments are read, which may fail, too.
    let mut as_json = config::asks_for_json(std::env::args_os());
    match run(&mut as_json) {
        Ok(code) => code.into(),
        Err(failure) => failure.report(as_json),
    }
}

fn run(as_json: &mut bool) -> Result<Code> {
    let arguments = arguments::parse(std::env::args_os())?;
    *as_json = arguments.global.json;
    let command = &arguments.command;
    let output = Output::new(&arguments.global, command.has_table())?;
    output.print(&command.run(&output, arguments::command)?)
}

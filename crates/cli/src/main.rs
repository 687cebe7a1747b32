//! The command `regraft`: arguments, printing, exit codes, and nothing else. What it does, the library does.

mod arguments;
mod commands;
mod config;
mod failure;
mod format;
#[allow(dead_code)]
mod interrupt;
mod output;
#[allow(dead_code)]
mod stage;
mod table;

use std::process::ExitCode;

use crate::output::Output;

fn main() -> ExitCode {
    interrupt::install();
    let arguments = match arguments::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(failure) => return failure.report(false),
    };
    let output = Output::new(&arguments.global);
    let ran = arguments.command.run(&output);
    match ran.and_then(|answer| output.print(&answer)) {
        Ok(code) => code.into(),
        Err(failure) => failure.report(arguments.global.json),
    }
}

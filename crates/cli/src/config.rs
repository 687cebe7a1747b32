//! `regraft.toml`: defaults of options, those of every command at its top and those of a command in a table with
//! its name. Keys are the options' long names. What is not known is an error, since it would have changed nothing.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use regraft::extend::{Detail, near};
use toml::{Table, Value};

use crate::failure::{Failure, Result};
use crate::negation::negation;

/// The file's name, looked for in the folder where the command is run.
const NAME: &str = "regraft.toml";

/// Whether errors shall be JSON, as far as arguments tell that make no sense: an argument says so, or the file does.
pub fn asks_for_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let words = ["--json", "--no-json", "--no-config", "--csv"];
    let given: Vec<OsString> = arguments
        .filter(|argument| words.iter().any(|word| argument == word))
        .collect();
    match given.last() {
        Some(last) => last == "--json",
        None => Config::find(None).ok().flatten().is_some_and(|config| {
            let json = config.table.get("json").and_then(Value::as_bool);
            json == Some(true)
        }),
    }
}

/// What the file has.
#[derive(Debug)]
pub struct Config {
    path: PathBuf,
    table: Table,
}

impl Config {
    /// The file at `path`, or the one in this folder if there is one.
    pub fn find(path: Option<&Path>) -> Result<Option<Config>> {
        let asked = path.is_some();
        let path = path.unwrap_or(Path::new(NAME));
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && !asked => return Ok(None),
            Err(error) => {
                return Err(Failure::io(
                    path,
                    "a file of defaults that can be read",
                    &error,
                ));
            }
        };
        let table = text.parse::<Table>().map_err(|error| {
            let place = error.span().map_or(0, |span| span.start);
            let line = text[..place.min(text.len())].matches('\n').count() + 1;
            let at = format!("{}, line {line}", path.display());
            Failure::usage(Detail::new(at, "TOML", error.message()))
        })?;
        let path = path.to_path_buf();
        Ok(Some(Config { path, table }))
    }

    /// `command` with the file's values as its defaults, those that `given` has on the command line apart.
    pub fn applied(&self, command: Command, given: &ArgMatches) -> Result<Command> {
        let names: Vec<String> = command
            .get_subcommands()
            .map(|command| command.get_name().to_string())
            .collect();
        let mut command = command;
        for (key, value) in &self.table {
            let at = |key: &str| format!("{}: {key}", self.path.display());
            command = match value {
                Value::Table(table) if names.contains(key) => {
                    let inner = given.subcommand().filter(|(name, _)| name == key);
                    let given = inner.map(|(_, given)| given);
                    let mut wanted = command
                        .find_subcommand(key)
                        .expect("its name is among the commands'")
                        .clone();
                    for (option, value) in table {
                        let at = at(&format!("[{key}] {option}"));
                        wanted = with_default(wanted, &at, option, value, given, &[])?;
                    }
                    command.mut_subcommand(key, |_| wanted)
                }
                Value::Table(_) => {
                    let help = near(key, names.iter().map(String::as_str));
                    let detail =
                        Detail::new(at(key), "a table named as a command", format!("[{key}]"));
                    return Err(Failure::usage(detail.help(help)));
                }
                value => with_default(command, &at(key), key, value, Some(given), &names)?,
            };
        }
        Ok(command)
    }
}

/// Options that agree to a loss: written where it is wanted, and nowhere else.
const ASKED_EACH_TIME: [&str; 1] = ["force"];

/// Options of which the file may not set what the command line sets the other of.
const EITHER: [&str; 2] = ["json", "csv"];

fn with_default(
    command: Command,
    at: &str,
    key: &str,
    value: &Value,
    given: Option<&ArgMatches>,
    tables: &[String],
) -> Result<Command> {
    let settable = |argument: &&Arg| {
        let long = argument.get_long().unwrap_or_default();
        !argument.is_hide_set() && !["config", "no-config", "help", "version", ""].contains(&long)
    };
    let options: Vec<&Arg> = command.get_arguments().filter(settable).collect();
    let Some(option) = options.iter().find(|option| option.get_long() == Some(key)) else {
        let known = options.iter().filter_map(|option| option.get_long());
        let help = near(key, known.chain(tables.iter().map(String::as_str)));
        let detail = Detail::new(at, "the long name of an option", format!("{key:?}"));
        return Err(Failure::usage(detail.help(help)));
    };
    if ASKED_EACH_TIME.contains(&key) {
        let detail = Detail::new(at, "an option that a file may set", format!("{key:?}"));
        let help = format!("write --{key} on the command line where it is wanted");
        return Err(Failure::usage(detail.help(help)));
    }
    let values = values(at, option, value)?;
    let id = option.get_id().to_string();
    let on_command_line = |id: &str| {
        given.is_some_and(|given| {
            given.try_contains_id(id).is_ok_and(|there| there)
                && given.value_source(id) == Some(ValueSource::CommandLine)
        })
    };
    let other = EITHER.contains(&key) && EITHER.iter().any(|id| on_command_line(id));
    if other || on_command_line(&id) || on_command_line(&negation(key)) {
        return Ok(command);
    }
    Ok(command.mut_arg(id, |option| option.default_values(values)))
}

/// A value of the file as it would be written on the command line, checked as there.
fn values(at: &str, option: &Arg, value: &Value) -> Result<Vec<String>> {
    let single = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    };
    let several = matches!(option.get_action(), ArgAction::Append);
    let switch = matches!(option.get_action(), ArgAction::SetTrue);
    let expected = match (switch, several) {
        (true, _) => "true or false".to_string(),
        (_, true) => "a list of values".to_string(),
        _ => "a single value".to_string(),
    };
    let wrong = |expected: &str| Detail::new(at, expected, value);
    let values: Option<Vec<String>> = match value {
        Value::Boolean(_) if switch => single(value).map(|value| vec![value]),
        _ if switch => None,
        Value::Array(values) if several => values.iter().map(single).collect(),
        value => single(value).map(|value| vec![value]),
    };
    let values = values.ok_or_else(|| Failure::usage(wrong(&expected)))?;
    if !switch {
        let long = option.get_long().unwrap_or_default();
        let alone = Command::new(NAME)
            .no_binary_name(true)
            .arg(option.clone().required(false));
        let words = values.iter().map(|value| format!("--{long}={value}"));
        if let Err(error) = alone.try_get_matches_from(words) {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            let line = line.strip_prefix("error: ").unwrap_or(line);
            let detail = wrong(&format!("a value of --{long}")).help(line);
            return Err(Failure::usage(detail));
        }
    }
    Ok(values)
}

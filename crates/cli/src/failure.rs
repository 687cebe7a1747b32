//! Why a command did not do what was asked, how that is printed, and the exit codes.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anstream::AutoStream;
use clap::builder::StyledStr;
use clap::error::ContextKind;
use regraft::extend::{Detail, json};

use crate::visible::{in_json, visible};

/// What a command ended with, as the shell sees it. `docs/command-line.md` documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Done.
    Done = 0,
    /// It could not be done.
    Failed = 1,
    /// The arguments or `regraft.toml` make no sense.
    Usage = 2,
    /// Done, and there is something to look at: a difference, a fault in the data.
    Findings = 3,
    /// Ended by Ctrl-C.
    Interrupted = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        ExitCode::from(code as u8)
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    /// What went wrong, without its details.
    message: String,
    detail: Option<Box<Detail>>,
    /// What is shown to people instead of these, if it is.
    rendered: Option<StyledStr>,
}

pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// Arguments that make no sense.
    pub fn usage(detail: Detail) -> Self {
        Failure::of("wrong usage", Some(detail)).with_code(Code::Usage)
    }

    /// Arguments that clap does not take: its own words for people, the four parts for programs.
    pub fn arguments(error: &clap::Error) -> Self {
        let of = |kinds: &[ContextKind]| {
            let found = kinds.iter().find_map(|kind| error.get(*kind));
            found.map(ToString::to_string).unwrap_or_default()
        };
        let at = of(&[ContextKind::InvalidArg, ContextKind::InvalidSubcommand]);
        let expected = match of(&[ContextKind::ValidValue, ContextKind::ValidSubcommand]) {
            valid if valid.is_empty() => "what `regraft COMMAND --help` lists".to_string(),
            valid => format!("one of {valid}"),
        };
        let received = of(&[
            ContextKind::InvalidValue,
            ContextKind::PriorArg,
            ContextKind::ActualNumValues,
        ]);
        let near = of(&[
            ContextKind::SuggestedValue,
            ContextKind::SuggestedArg,
            ContextKind::SuggestedSubcommand,
        ]);
        let text = error.render();
        let message = text.to_string();
        let message = message.lines().next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message);
        let usage = of(&[ContextKind::Usage]);
        let help = match near.is_empty() {
            true => usage.trim().to_string(),
            false => format!("is {near} meant? {}", usage.trim()),
        };
        let detail = Detail::new(at, expected, received).help(help);
        Failure {
            rendered: Some(text),
            ..Failure::of(message, Some(detail)).with_code(Code::Usage)
        }
    }

    /// What cannot be done, with its four parts.
    pub fn new(message: impl Display, detail: Detail) -> Self {
        Failure::of(message, Some(detail))
    }

    /// An error of any library: its message, and the parts of it where it has them.
    pub fn of(error: impl Display, detail: Option<Detail>) -> Self {
        let message = error.to_string();
        let shortened = detail.as_ref().and_then(|detail| {
            let message = message.strip_suffix(&detail.to_string())?;
            Some(message.trim_end_matches([':', ' ']).to_string())
        });
        Failure {
            code: Code::Failed,
            message: shortened.unwrap_or(message),
            detail: detail.map(Box::new),
            rendered: None,
        }
    }

    /// What the system said when it was to read or write something.
    pub fn io(path: &Path, expected: &str, error: &io::Error) -> Self {
        let detail = Detail::new(path.display().to_string(), expected, error);
        Failure::new("cannot read or write", detail)
    }

    /// It was ended by Ctrl-C, and nothing is half-written.
    pub fn interrupted() -> Self {
        Failure::of("interrupted", None).with_code(Code::Interrupted)
    }

    /// Whoever read the output has gone: nobody is left to tell, and nothing went wrong.
    pub fn unread() -> Self {
        Failure::of("", None).with_code(Code::Done)
    }

    fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// Prints it to the standard error and gives the exit code.
    pub fn report(self, as_json: bool) -> ExitCode {
        if self.code != Code::Done {
            let mut out = AutoStream::auto(io::stderr());
            // Without a standard error there is no place left to say so.
            let _ = match as_json {
                true => writeln!(out, "{}", self.json()),
                false => self.write(&mut out),
            };
        }
        self.code.into()
    }

    fn json(&self) -> String {
        let parts = self.detail.clone().unwrap_or_default();
        let error = json!({
            "message": self.message,
            "where": parts.at,
            "expected": parts.expected,
            "received": parts.received,
            "help": parts.help,
        });
        in_json(&json!({"error": error}).to_string())
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        if let Some(text) = &self.rendered {
            return write!(out, "{}", text.ansi());
        }
        let message = match self.message.as_str() {
            "" => "this cannot be done".to_string(),
            message => visible(message),
        };
        writeln!(out, "\x1b[1;31merror\x1b[0m: {message}")?;
        let Some(detail) = &self.detail else {
            return Ok(());
        };
        let parts = [
            ("where", &detail.at),
            ("expected", &detail.expected),
            ("received", &detail.received),
            ("help", &detail.help),
        ];
        for (name, text) in parts.into_iter().filter(|(_, text)| !text.is_empty()) {
            let text = visible(text).replace('\n', "\n            ");
            writeln!(out, "  \x1b[1m{name:<8}\x1b[0m  {text}")?;
        }
        Ok(())
    }
}

impl From<regraft::Error> for Failure {
    fn from(error: regraft::Error) -> Self {
        let detail = error.detail().cloned();
        Failure::of(error, detail)
    }
}

impl From<regraft_pictures::Error> for Failure {
    fn from(error: regraft_pictures::Error) -> Self {
        match error {
            regraft_pictures::Error::Cancelled => Failure::interrupted(),
            error => Failure::of(&error, error.detail().cloned()),
        }
    }
}

impl From<regraft::io::Error> for Failure {
    fn from(error: regraft::io::Error) -> Self {
        regraft::Error::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(failure: &Failure) -> String {
        let mut out = Vec::new();
        failure.write(&mut out).unwrap();
        anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string()
    }

    #[test]
    fn a_message_is_told_in_its_parts() {
        let detail = Detail::new("a.keras", "a file", "a folder").help("name a file");
        let error = regraft::Error::File(detail);
        assert_eq!(
            text(&error.into()),
            "error: cannot read or write\n  where     a.keras\n  expected  a file\n  \
             received  a folder\n  help      name a file\n"
        );
        assert_eq!(text(&Failure::interrupted()), "error: interrupted\n");
    }

    #[test]
    fn a_strange_name_gives_the_terminal_no_orders() {
        let detail = Detail::new("a\u{1b}[2J.keras", "a\u{9b}0m", "b\rc").help("d\ne");
        let failure = Failure::new("x\u{7}", detail);
        let mut out = Vec::new();
        failure.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let own = text
            .replace("\x1b[1;31m", "")
            .replace("\x1b[1m", "")
            .replace("\x1b[0m", "");
        assert!(
            own.chars().all(|it| it == '\n' || !it.is_control()),
            "{own:?}"
        );
        assert!(
            own.contains("a\\u{1b}[2J.keras") && own.contains("d\n            e"),
            "{own}"
        );
        let json = failure.json();
        assert!(!json.contains(char::is_control), "{json:?}");
        let value: regraft::extend::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["error"]["expected"], "a\u{9b}0m");
    }

    #[test]
    fn what_clap_says_has_the_same_parts() {
        let command = clap::Command::new("x").arg(
            clap::Arg::new("head")
                .long("head")
                .value_parser(["ridge", "lda"]),
        );
        let error = command.try_get_matches_from(["x", "--head", "rigde"]);
        let failure = Failure::arguments(&error.unwrap_err());
        let value: regraft::extend::Value = serde_json::from_str(&failure.json()).unwrap();
        let error = &value["error"];
        assert_eq!(error["where"], "--head <head>");
        assert_eq!(error["expected"], "one of ridge, lda");
        assert_eq!(error["received"], "rigde");
        assert!(error["help"].as_str().unwrap().contains("ridge"), "{value}");
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .starts_with("invalid value"),
            "{value}"
        );
        assert!(text(&failure).contains("error: invalid value 'rigde'"));
    }

    #[test]
    fn json_has_the_same_parts() {
        let failure = Failure::usage(Detail::new("--epochs", "a number", "\"ten\""));
        let value: regraft::extend::Value = serde_json::from_str(&failure.json()).unwrap();
        assert_eq!(value["error"]["where"], "--epochs");
        assert_eq!(value["error"]["received"], "\"ten\"");
        assert_eq!(value["error"]["message"], "wrong usage");
    }
}

//! What a command prints: its answer to the standard output, as text, JSON or CSV; everything else (stages,
//! notes, errors) to the standard error, so that an answer can be piped.

use std::io::{self, ErrorKind, IsTerminal, Write};

use regraft::extend::{Detail, Value};

use crate::failure::{Code, Failure, Result};
use crate::global::Global;
use crate::visible::{in_json, visible};

/// What a command found, in every form in which it can be asked for.
#[derive(Clone, Debug)]
pub struct Answer {
    text: String,
    json: Value,
    rows: Option<Vec<Vec<String>>>,
    code: Code,
}

impl Answer {
    /// An answer as people and as programs read it.
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        Answer {
            text: text.into(),
            json,
            rows: None,
            code: Code::Done,
        }
    }

    /// Adds the table for `--csv`: the names of its columns, and its rows.
    #[must_use]
    pub fn with_rows(
        mut self,
        header: impl IntoIterator<Item = impl Into<String>>,
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Self {
        let header = header.into_iter().map(Into::into).collect();
        self.rows = Some([header].into_iter().chain(rows).collect());
        self
    }

    /// Says that there is something to look at, for the exit code.
    #[must_use]
    pub fn with_findings(mut self, any: bool) -> Self {
        if any {
            self.code = Code::Findings;
        }
        self
    }
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Json,
    Csv,
}

/// How this run prints.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub form: Form,
    pub quiet: bool,
    /// Whether progress can be drawn over and over.
    pub on_terminal: bool,
}

impl Output {
    /// As the arguments say; `has_table` is whether the command's answer can be CSV.
    pub fn new(global: &Global, has_table: bool) -> Result<Self> {
        if global.csv && !global.json && !has_table {
            let expected = "a command whose answer has a table";
            let detail = Detail::new("--csv", expected, "another one");
            return Err(Failure::usage(detail.help("take --json")));
        }
        Ok(Output {
            form: match (global.json, global.csv) {
                (true, _) => Form::Json,
                (false, true) => Form::Csv,
                (false, false) => Form::Text,
            },
            quiet: global.quiet,
            on_terminal: io::stderr().is_terminal(),
        })
    }

    /// A sentence besides the answer, for people.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            // Without a standard error there is nobody to read it.
            let _ = writeln!(io::stderr(), "{}", visible(text));
        }
    }

    /// Prints an answer, and says what the process ends with.
    pub fn print(&self, answer: &Answer) -> Result<Code> {
        let text = match self.form {
            Form::Text => visible(&answer.text),
            Form::Json => in_json(&format!("{:#}", answer.json)),
            Form::Csv => {
                let table = csv(answer.rows.as_deref().unwrap_or_default());
                // Programs get the names as they are.
                match io::stdout().is_terminal() {
                    true => visible(&table),
                    false => table,
                }
            }
        };
        self.write(&text)?;
        Ok(answer.code)
    }

    /// Writes text, and what ends a line, to the standard output.
    fn write(&self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        let text = text.trim_end_matches('\n');
        if text.is_empty() {
            return Ok(());
        }
        let written = writeln!(out, "{text}").and_then(|()| out.flush());
        written.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::unread(),
            _ => Failure::io(
                "the standard output".as_ref(),
                "that it can be written",
                &error,
            ),
        })
    }
}

/// Rows as RFC 4180 has them, with plain line ends.
pub fn csv(rows: &[Vec<String>]) -> String {
    let field = |field: &String| match field.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.clone(),
    };
    let line = |row: &Vec<String>| row.iter().map(field).collect::<Vec<_>>().join(",");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_commas_quotes_and_line_ends_are_quoted() {
        let row = |fields: [&str; 2]| fields.map(str::to_string).to_vec();
        let rows = [row(["path", "class"]), row(["a,\"b\".png", "x\ny"])];
        assert_eq!(csv(&rows), "path,class\n\"a,\"\"b\"\".png\",\"x\ny\"");
    }
}

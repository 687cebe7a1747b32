//! `regraft label`: which pictures would teach most, and what their answers teach.

use std::fs;
use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;
use regraft::extend::{Detail, json, near};
use regraft_pictures::{Labelling, Question};

use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::kept::Kept;
use crate::output::{Answer, Output, csv};
use crate::table::table;
use crate::watch::Watch;

/// Rank pictures without labels by what they would teach a classifier, and take answers
#[derive(Debug, Args)]
#[command(after_help = "\
With --ask the picture that teaches most is named, a line with the name of its class is read from the standard input \
(empty: it is passed over), the head learns it at once, and so on. The answers are printed as a table of paths and \
labels, which `regraft train` takes. With --answers each one stands in that file at once: whoever stops, or is stopped, \
goes on with the same command.

Examples:
  regraft label photos.regraft unlabeled/ --count 20
  regraft label photos.regraft unlabeled/ --ask --answers answers.csv
  regraft label photos.regraft unlabeled/ --answers answers.csv")]
pub struct Label {
    /// A folder that `regraft train` wrote
    model: PathBuf,
    /// A folder of pictures, or a CSV file with the column path
    unlabeled: PathBuf,
    /// How many to name
    #[arg(long, default_value_t = 20)]
    count: usize,
    /// Ask for the classes of the pictures, one by one, on the standard input
    #[arg(long)]
    ask: bool,
    /// Take answers from a CSV file with the columns path and label first; with --ask, new ones are added to it
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    #[command(flatten)]
    kept: Kept,
}

impl Label {
    pub fn run(&self, output: &Output) -> Result<Answer> {
        let mut watch = Watch::new(output);
        let cache = self.kept.cache.as_deref();
        let mut labelling = Labelling::open(&self.model, &self.unlabeled, cache, &mut watch)?;
        drop(watch);
        for (name, reason) in &labelling.unreadable {
            output.note(&format!("cannot be read: {name}: {reason}"));
        }
        let mut answers = Answers::of(self.answers.as_deref(), self.ask)?;
        if let Some(file) = self.answers.as_ref().filter(|_| answers.any()) {
            take(&mut labelling, file)?;
            let count = labelling.answers().len();
            output.note(&format!("{count} answers of {}", file.display()));
        }
        if self.ask {
            return ask(&mut labelling, &mut answers, output);
        }
        let classes = labelling.classes().to_vec();
        let questions: Vec<Question> = labelling.questions(self.count)?;
        let row = |question: &Question| {
            vec![
                question.path.display().to_string(),
                classes[question.guess].clone(),
                format!("{:.3}", question.confidence),
                format!("{:.4}", question.worth),
            ]
        };
        let rows: Vec<Vec<String>> = questions.iter().map(row).collect();
        let header = ["path", "guess", "probability", "teaches"];
        let json = questions.iter().map(|question| {
            json!({
                "path": question.path.display().to_string(),
                "guess": classes[question.guess],
                "probability": question.confidence,
                "teaches": question.worth,
            })
        });
        let answer = Answer::new(table(&header, &rows), json.collect::<Vec<_>>().into());
        Ok(answer.with_rows(header, rows))
    }
}

/// The number of a class by its name.
fn class(labelling: &Labelling, name: &str, at: &str) -> Result<usize> {
    let names = labelling.classes();
    names.iter().position(|known| known == name).ok_or_else(|| {
        let detail = Detail::new(
            at,
            format!("one of {}", names.join(", ")),
            format!("{name:?}"),
        );
        Failure::usage(detail.help(near(name, names.iter().map(String::as_str))))
    })
}

/// Takes the answers of a file.
fn take(labelling: &mut Labelling, file: &Path) -> Result<()> {
    for (path, label) in regraft_pictures::read_answers(file)? {
        let at = file.display().to_string();
        let number = class(labelling, &label, &at)?;
        let Some(picture) = labelling.find(&path) else {
            let detail = Detail::new(
                at,
                "paths of the pictures without labels",
                path.display().to_string(),
            );
            return Err(Failure::usage(detail));
        };
        labelling.answer(picture, number)?;
    }
    Ok(())
}

/// The file with answers, and what is written there.
struct Answers {
    file: Option<PathBuf>,
    text: String,
    /// Whether relative paths are those that the command names, and not those of the file's folder.
    is_here: bool,
}

impl Answers {
    /// What is there already. With `new` ones to come a file that is not there is begun.
    fn of(file: Option<&Path>, new: bool) -> Result<Self> {
        let mut answers = Answers {
            file: file.map(Path::to_path_buf),
            text: String::new(),
            is_here: file.and_then(Path::parent) == Some(Path::new("")),
        };
        let Some(file) = file else {
            return Ok(answers);
        };
        match fs::read_to_string(file) {
            Ok(text) => answers.text = text,
            Err(error) if new && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::io(file, "a CSV file that can be read", &error)),
        }
        if !new {
            return Ok(answers);
        }
        interrupt::writes(file);
        let header = answers.text.lines().next().unwrap_or("path,label");
        if header.trim_start_matches('\u{feff}') != "path,label" {
            let at = file.display().to_string();
            let detail = Detail::new(at, "the header path,label, to add lines to", header);
            return Err(Failure::usage(
                detail.help("name another file for new answers"),
            ));
        }
        if answers.text.is_empty() {
            answers.text = "path,label\n".to_string();
            answers.write()?;
        }
        Ok(answers)
    }

    /// Whether there is one.
    fn any(&self) -> bool {
        self.text.lines().nth(1).is_some()
    }

    /// Adds one.
    fn add(&mut self, path: &Path, class: &str) -> Result<()> {
        if self.file.is_none() {
            return Ok(());
        }
        let path = match self.is_here {
            true => path.to_path_buf(),
            false => std::path::absolute(path)
                .map_err(|error| Failure::io(path, "a path in this folder", &error))?,
        };
        let Some(name) = path.to_str() else {
            let expected = "a name in UTF-8, which a table can have";
            let received = "another";
            let detail = Detail::new(path.display().to_string(), expected, received);
            let help = "rename the file; the answers before are kept";
            return Err(Failure::new(
                "this answer cannot be written",
                detail.help(help),
            ));
        };
        if !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.text += &csv(&[vec![name.to_string(), class.to_string()]]);
        self.text.push('\n');
        self.write()
    }

    fn write(&self) -> Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        Ok(regraft::io::write_file(file, self.text.as_bytes())?)
    }
}

/// Asks for one picture after the other.
fn ask(labelling: &mut Labelling, answers: &mut Answers, output: &Output) -> Result<Answer> {
    let interactive = io::stdin().is_terminal();
    if interactive && answers.file.is_none() {
        output.note("answers are printed in the end; --answers FILE keeps each at once");
    }
    let mut passed = Vec::new();
    let mut lines = io::stdin().lock().lines();
    loop {
        interrupt::check()?;
        let questions = labelling.questions(passed.len() + 1)?;
        let Some(question) = questions
            .into_iter()
            .find(|one| !passed.contains(&one.picture))
        else {
            break;
        };
        let guess = labelling.classes()[question.guess].clone();
        output.note(&format!(
            "{}  {guess}? ({:.2})",
            question.path.display(),
            question.confidence
        ));
        let Some(line) = lines.next() else { break };
        let line = line
            .map_err(|error| Failure::io("the standard input".as_ref(), "lines of text", &error))?;
        match line.trim() {
            "" => passed.push(question.picture),
            // A person may try again; a program has made a mistake.
            name if interactive && !labelling.classes().iter().any(|known| known == name) => {
                output.note(&format!(
                    "{name} is none of {}",
                    labelling.classes().join(", ")
                ));
            }
            name => {
                let number = class(labelling, name, "the answer")?;
                labelling.answer(question.picture, number)?;
                answers.add(&question.path, name)?;
            }
        }
    }
    let mut rows: Vec<Vec<String>> = labelling
        .answers()
        .iter()
        .map(|(path, class)| vec![path.display().to_string(), class.to_string()])
        .collect();
    rows.sort();
    let json = rows
        .iter()
        .map(|row| json!({"path": row[0], "label": row[1]}))
        .collect::<Vec<_>>();
    let header = ["path", "label"];
    let answer = Answer::new(table(&header, &rows), json.into());
    Ok(answer.with_rows(header, rows))
}

//! `regraft predict`: what a classifier says of pictures.

use std::path::PathBuf;

use clap::Args;
use regraft::extend::{Value, json};
use regraft_pictures::{Answer as Said, Classifier};

use crate::failure::Result;
use crate::output::{Answer, Output};
use crate::table::table;
use crate::watch::Watch;

/// Say what is on pictures, and "unknown" where the classifier does not know
#[derive(Debug, Args)]
#[command(after_help = "\
Files that cannot be read are named, and the command ends with 3 then.

Examples:
  regraft predict photos.regraft new/*.jpg
  regraft predict photos.regraft new/*.jpg --csv > answers.csv
  regraft predict photos.regraft cat.png --json | jq '.[0].probabilities'")]
pub struct Predict {
    /// A folder that `regraft train` wrote
    model: PathBuf,
    /// Pictures
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Also write the features of the pictures that can be read into this file (.safetensors)
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
}

impl Predict {
    pub fn run(&self, output: &Output) -> Result<Answer> {
        let classifier = Classifier::open(&self.model)?;
        let mut watch = Watch::new(output);
        let answers = match &self.features {
            Some(file) => classifier.write_features(&self.files, file, &mut watch)?,
            None => classifier.predict(&self.files, &mut watch)?,
        };
        let failed = answers.iter().any(|answer| answer.probabilities.is_err());
        let json = answers
            .iter()
            .map(|answer| json(&classifier, answer))
            .collect::<Vec<_>>();
        let answer = Answer::new(text(&classifier, &answers), json.into());
        let classes = classifier.classes().iter().map(String::as_str);
        let header = ["path", "class"].into_iter().chain(classes);
        Ok(answer
            .with_rows(header, rows(&classifier, &answers))
            .with_findings(failed))
    }
}

/// The names of a set of classes.
fn set(classifier: &Classifier, answer: &Said) -> String {
    let names = classifier.answer_set(answer);
    names
        .iter()
        .map(|class| classifier.classes()[*class].as_str())
        .collect::<Vec<_>>()
        .join(" | ")
}

fn text(classifier: &Classifier, answers: &[Said]) -> String {
    let row = |answer: &Said| {
        let (confidence, set) = match &answer.probabilities {
            Ok(probabilities) => {
                let confidence = probabilities.iter().copied().fold(0.0, f64::max);
                (format!("{confidence:.3}"), set(classifier, answer))
            }
            Err(reason) => (String::new(), reason.clone()),
        };
        vec![
            answer.path.display().to_string(),
            classifier.name_of(answer).to_string(),
            confidence,
            set,
        ]
    };
    table(
        &["file", "class", "probability", "one of"],
        &answers.iter().map(row).collect::<Vec<_>>(),
    )
}

fn json(classifier: &Classifier, answer: &Said) -> Value {
    let probabilities = answer.probabilities.as_ref().ok().map(|probabilities| {
        let named = classifier.classes().iter().zip(probabilities);
        named
            .map(|(name, p)| (name.clone(), json!(p)))
            .collect::<regraft::extend::Map<_, _>>()
    });
    json!({
        "path": answer.path.display().to_string(),
        "class": classifier.name_of(answer),
        "probabilities": probabilities,
        "one_of": classifier.answer_set(answer).iter().map(|class| &classifier.classes()[*class]).collect::<Vec<_>>(),
        "reason": answer.probabilities.as_ref().err(),
    })
}

fn rows(classifier: &Classifier, answers: &[Said]) -> Vec<Vec<String>> {
    let row = |answer: &Said| {
        let mut row = vec![
            answer.path.display().to_string(),
            classifier.name_of(answer).to_string(),
        ];
        match &answer.probabilities {
            Ok(probabilities) => row.extend(probabilities.iter().map(|p| format!("{p:.6}"))),
            Err(_) => row.resize(classifier.classes().len() + 2, String::new()),
        }
        row
    };
    answers.iter().map(row).collect()
}

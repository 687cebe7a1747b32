//! `regraft evaluate`: how good a classifier is on pictures of which the classes are known.

use std::path::PathBuf;

use clap::Args;
use regraft::extend::json;
use regraft_pictures::{Classifier, Evaluation};

use crate::failure::Result;
use crate::output::{Answer, Output};
use crate::share::{share, share_json};
use crate::table::table;
use crate::watch::Watch;

/// Tell how good a classifier is on pictures that it has not seen
#[derive(Debug, Args)]
#[command(after_help = "\
The accuracy is that of the most probable class, as training promised it. How often the answer is \"unknown\", and how
often the others are right, stands beside it. Files that cannot be read are named, and the command ends with 3 then.

Examples:
  regraft evaluate photos.regraft test/
  regraft evaluate photos.regraft test/ --json | jq .accuracy.value")]
pub struct Evaluate {
    /// A folder that `regraft train` wrote
    model: PathBuf,
    /// A folder with a folder for each class, or a CSV file with the columns path and label
    photos: PathBuf,
}

impl Evaluate {
    pub fn run(&self, output: &Output) -> Result<Answer> {
        let classifier = Classifier::open(&self.model)?;
        let found = classifier.evaluate(&self.photos, &mut Watch::new(output))?;
        let classes = classifier.classes();
        let pictures = found.answers.iter().map(|(path, label, answer)| {
            let probabilities = answer.probabilities.as_ref().map_or(&[][..], Vec::as_slice);
            json!({
                "path": path,
                "label": classes[*label],
                "answer": classifier.name_of(answer),
                "confidence": probabilities.iter().copied().fold(0.0, f64::max),
                "label_probability": probabilities.get(*label),
            })
        });
        let json = json!({
            "accuracy": share_json(&found.accuracy),
            "answered": found.answered.as_ref().map(share_json),
            "balanced_accuracy": found.balanced_accuracy,
            "log_loss": found.log_loss,
            "calibration_error": found.calibration_error,
            "unknown": found.unknown,
            "covered": found.covered,
            "classes": classes,
            "confusion": found.confusion,
            "pictures": pictures.collect::<Vec<_>>(),
            "unreadable": found.unreadable.iter().map(|(path, reason)| json!({"path": path, "reason": reason})).collect::<Vec<_>>(),
        });
        let rows = found.answers.iter().map(|(path, label, answer)| {
            vec![
                path.clone(),
                classes[*label].clone(),
                classifier.name_of(answer).to_string(),
            ]
        });
        let answer = Answer::new(text(&classifier, &found), json);
        let answer = answer.with_rows(["path", "label", "answer"], rows);
        Ok(answer.with_findings(!found.unreadable.is_empty()))
    }
}

fn text(classifier: &Classifier, found: &Evaluation) -> String {
    let mut text = String::new();
    for (name, reason) in &found.unreadable {
        text += &format!("cannot be read: {name}: {reason}\n");
    }
    let row = |(class, (right, all)): (&String, &(usize, usize))| {
        let recall = if *all > 0 {
            format!("{:.3}", *right as f64 / *all as f64)
        } else {
            String::new()
        };
        vec![class.clone(), all.to_string(), recall]
    };
    let rows: Vec<Vec<String>> = classifier
        .classes()
        .iter()
        .zip(&found.per_class)
        .map(row)
        .collect();
    text += &table(&["class", "pictures", "recognised"], &rows);
    text += &format!(
        "\naccuracy           {}\nbalanced accuracy  {:.3}\nlog-loss           {:.3}\ncalibration error  {:.3}\n",
        share(&found.accuracy),
        found.balanced_accuracy,
        found.log_loss,
        found.calibration_error
    );
    let all = found.answers.len();
    text += &format!("unknown            {} of {all}", found.unknown);
    if let Some(answered) = &found.answered {
        text += &format!("; right answers among the others {}", share(answered));
    }
    text.push('\n');
    text += &format!(
        "answer sets        hold the right class in {:.1} %\n",
        100.0 * found.covered
    );
    let promised = classifier.run().estimate.accuracy;
    text + &format!("promised           {}\n", share(&promised))
}

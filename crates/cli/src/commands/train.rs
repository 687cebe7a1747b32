//! `regraft train`: from a folder of pictures to a classifier.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use regraft::extend::{Detail, Value, json};
use regraft_pictures::{Config, Seen, Train as Training, Trained, peak_memory};

use crate::failure::{Failure, Result};
use crate::format;
use crate::kept::Kept;
use crate::network::Network;
use crate::output::{Answer, Output};
use crate::share::{share, share_json};
use crate::watch::Watch;

/// Make a classifier of a folder of pictures: checked, solved, with honest numbers and a report
#[derive(Debug, Args)]
#[command(after_help = "\
The folder has a folder for each class. What comes out stands in PHOTOS.regraft: model.keras (for Keras and Regraft; \
it takes pixels from 0 to 255), model.safetensors, labels.txt, report.html and run.toml. Pictures that were seen \
before are not computed again, and the same command goes on where it was stopped.

Examples:
  regraft train photos/
  regraft train photos/ --backbone resnet50.keras --group '^[^/]+/(scene[0-9]+)'
  regraft train labels.csv --backbone efficientnet_b0 --balance 1 --output birds.regraft
  regraft train photos/ --improve 10
  regraft train --from photos.regraft/run.toml --output again.regraft")]
pub struct Train {
    /// A folder with a folder for each class, or a CSV file with the columns path and label
    #[arg(required_unless_present = "from")]
    photos: Option<PathBuf>,
    /// Repeat a run, bit for bit
    #[arg(long, value_name = "RUN.TOML", conflicts_with_all = ["photos", "improve"])]
    from: Option<PathBuf>,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    learning: Learning,
    /// Train the top of the network for so many minutes, kept only if it is better on pictures held out
    #[arg(long, value_name = "MINUTES")]
    improve: Option<f64>,
    /// Where the classifier goes [default: PHOTOS.regraft]
    #[arg(long, short, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Replace a classifier that is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    kept: Kept,
}

/// How the head is found.
#[derive(Debug, Args)]
struct Learning {
    /// A regular expression on paths: pictures that agree in what it finds stay together in every split
    #[arg(long, value_name = "REGEX")]
    group: Option<String>,
    /// The share of pictures that is kept out and looked at in the end
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    holdout: f64,
    /// Which head
    #[arg(long, default_value = "auto", value_parser = ["auto", "ridge", "logistic", "lda", "nearest-mean"])]
    head: String,
    /// How much rare classes are raised: 0 not at all, 1 until all count the same
    #[arg(long, value_name = "POWER", default_value_t = 0.0)]
    balance: f64,
    /// The share of answer sets that may miss the right class
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    alpha: f64,
    /// The seed of whatever is drawn
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl Learning {
    fn set(&self, config: &mut Config) {
        config.group.clone_from(&self.group);
        config.holdout = self.holdout;
        config.head.clone_from(&self.head);
        config.balance = self.balance;
        config.alpha = self.alpha;
        config.seed = self.seed;
    }
}

impl Train {
    pub fn run(&self, output: &Output) -> Result<Answer> {
        let mut training = match (&self.from, &self.photos) {
            (Some(run), _) => Training::again(run)?,
            (None, Some(photos)) => {
                regraft_pictures::opened(photos)?;
                self.network.fetch(output)?;
                let settings = |config: &mut Config| {
                    self.network.set(config);
                    self.learning.set(config);
                };
                Training::new(photos).configure(settings)
            }
            (None, None) => {
                let detail = Detail::new("photos", "a folder of pictures", "none");
                return Err(Failure::usage(detail));
            }
        };
        training = training.replace(self.force);
        if let Some(folder) = &self.output {
            training = training.output(folder);
        }
        if let Some(folder) = &self.kept.cache {
            training = training.cache(folder);
        }
        if let Some(minutes) = self.improve {
            if !(0.0..=100_000.0).contains(&minutes) {
                let detail = Detail::new("--improve", "a number of minutes", minutes);
                return Err(Failure::usage(detail));
            }
            training = training.improve(minutes);
        }
        let trained = training.run(&mut Watch::new(output))?;
        let header = [
            "path",
            "label",
            "answer",
            "confidence",
            "label_probability",
            "held_out",
        ];
        Ok(Answer::new(text(&trained), json(&trained)).with_rows(header, rows(&trained)))
    }
}

fn text(trained: &Trained) -> String {
    let run = &trained.run;
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut line = |words: String| {
        let _ = writeln!(text, "{words}");
    };
    for (name, reason) in trained.unreadable.iter().take(10) {
        line(format!("cannot be read: {name}: {reason}"));
    }
    if trained.unreadable.len() > 10 {
        line(format!("and {} more", trained.unreadable.len() - 10));
    }
    for finding in &trained.findings {
        line(format!("found: {finding}"));
    }
    line(String::new());
    let estimate = &run.estimate;
    line(format!(
        "accuracy            {}  {}",
        share(&estimate.accuracy),
        estimate.how
    ));
    if let Some(told) = estimate.leaves_out() {
        line(format!("not in the numbers  {told}"));
    }
    if run.pictures.groups < run.pictures.count {
        line(format!(
            "a careless split    {:.3}  would have shown this",
            estimate.careless
        ));
    }
    if let Some(held_out) = &estimate.held_out {
        line(format!(
            "on held-out         {}  {} pictures",
            share(held_out),
            run.pictures.held_out
        ));
    }
    line(format!(
        "calibration error   {:.3}",
        estimate.calibration_error
    ));
    let doubtful = trained.suspects.iter().filter(|picture| {
        let seen = &trained.pictures[**picture];
        seen.answer != seen.label
    });
    let doubtful: Vec<usize> = doubtful.take(3).copied().collect();
    if let Some(first) = doubtful.first() {
        let seen = &trained.pictures[*first];
        line(format!(
            "doubtful labels     {} first: called {}, looks like {}",
            seen.path, run.classes[seen.label], run.classes[seen.answer]
        ));
    }
    let unknown = &run.unknown;
    line(match unknown.can_tell {
        true => format!(
            "unknown pictures    are told (area {:.2} with classes left out)",
            unknown.auroc
        ),
        false => format!(
            "unknown pictures    cannot be told (area {:.2} with classes left out)",
            unknown.auroc
        ),
    });
    line(format!(
        "answer sets         of {:.1} classes hold the right one in {:.0} % of cases",
        run.answer_set.mean_size,
        100.0 * (1.0 - run.answer_set.alpha)
    ));
    if let Some(improved) = &trained.improved {
        line(format!("top of the network  {improved}"));
    }
    let memory = peak_memory().map_or(String::new(), |bytes| {
        format!(", {} of memory", format::bytes(bytes))
    });
    line(format!(
        "took                {}{memory}",
        format::duration(trained.spent.total())
    ));
    let folder = trained.folder.display();
    line(format!(
        "\n{folder}/report.html shows it; try it: regraft predict {folder} FILES"
    ));
    text
}

fn json(trained: &Trained) -> Value {
    let run = &trained.run;
    let estimate = &run.estimate;
    let seen = |seen: &Seen| {
        json!({
            "path": seen.path,
            "label": run.classes[seen.label],
            "answer": seen.is_known.then(|| &run.classes[seen.answer]),
            "confidence": seen.is_known.then_some(seen.confidence),
            "label_probability": seen.is_known.then_some(seen.label_probability),
            "held_out": seen.held_out,
        })
    };
    let findings = trained.findings.iter().map(|finding| {
        json!({"kind": format!("{:?}", finding.kind), "sentence": finding.sentence, "pictures": finding.pictures})
    });
    let stages =
        trained.spent.stages.iter().map(
            |(stage, time)| json!({"stage": stage.to_string(), "seconds": time.as_secs_f64()}),
        );
    json!({
        "folder": trained.folder.display().to_string(),
        "classes": run.classes,
        "pictures_per_class": run.pictures.per_class,
        "groups": run.pictures.groups,
        "estimate": {
            "how": estimate.how,
            "accuracy": share_json(&estimate.accuracy),
            "balanced_accuracy": estimate.balanced_accuracy,
            "careless": estimate.careless,
            "log_loss": estimate.log_loss,
            "calibration_error": estimate.calibration_error,
            "unknown_classes": estimate.unknown_classes,
            "held_out": estimate.held_out.as_ref().map(share_json),
        },
        "head": run.head.chosen,
        "unknown": {"can_tell": run.unknown.can_tell, "area": run.unknown.auroc, "threshold": run.unknown.threshold},
        "answer_set": {"alpha": run.answer_set.alpha, "mean_size": run.answer_set.mean_size},
        "improved": trained.improved,
        "findings": findings.collect::<Vec<_>>(),
        "unreadable": trained.unreadable.iter().map(|(path, reason)| json!({"path": path, "reason": reason})).collect::<Vec<_>>(),
        "suspects": trained.suspects,
        "pictures": trained.pictures.iter().map(seen).collect::<Vec<_>>(),
        "stages": stages.collect::<Vec<_>>(),
        "decoded": trained.decoded,
        "seconds": trained.spent.total().as_secs_f64(),
        "peak_memory": peak_memory(),
    })
}

fn rows(trained: &Trained) -> Vec<Vec<String>> {
    let classes = &trained.run.classes;
    let row = |seen: &Seen| {
        let if_known = |text: String| if seen.is_known { text } else { String::new() };
        vec![
            seen.path.clone(),
            classes[seen.label].clone(),
            if_known(classes[seen.answer].clone()),
            if_known(format!("{:.6}", seen.confidence)),
            if_known(format!("{:.6}", seen.label_probability)),
            seen.held_out.to_string(),
        ]
    };
    trained.pictures.iter().map(row).collect()
}

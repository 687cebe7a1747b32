//! `regraft check`: what is wrong with pictures.

use std::path::PathBuf;

use clap::Args;
use regraft::extend::json;

use crate::failure::Result;
use crate::kept::Kept;
use crate::output::{Answer, Output};
use crate::watch::Watch;

/// Find what is wrong with a folder of pictures, without training anything
#[derive(Debug, Args)]
#[command(after_help = "\
Ends with 3 if something was found that makes a classifier or its numbers worse.

Examples:
  regraft check photos/
  regraft check photos/ --json | jq -r '.unreadable[].path'
  regraft check photos/ --csv > findings.csv")]
pub struct Check {
    /// A folder with a folder for each class, or a CSV file with the columns path and label
    photos: PathBuf,
    /// Name every picture of a finding, not the first few
    #[arg(long)]
    every_picture: bool,
    #[command(flatten)]
    kept: Kept,
}

impl Check {
    pub fn run(&self, output: &Output) -> Result<Answer> {
        let found = regraft_pictures::check(
            &self.photos,
            self.kept.cache.as_deref(),
            &mut Watch::new(output),
        )?;
        let name = |picture: &usize| found.pictures[*picture].as_str();
        let mut text = format!(
            "{} pictures in {} groups\n",
            found.pictures.len(),
            found.groups
        );
        for (class, count) in found.classes.iter().zip(&found.counts) {
            text += &format!("  {count:>7}  {class}\n");
        }
        for (path, reason) in &found.unreadable {
            text += &format!("cannot be read: {path}: {reason}\n");
        }
        for path in &found.outside {
            text += &format!("in no class: {}\n", path.display());
        }
        let shown = if self.every_picture { usize::MAX } else { 5 };
        let mut rows = Vec::new();
        for finding in &found.findings {
            text += &format!("{finding}\n");
            let sets = finding.together();
            for (number, set) in sets.iter().enumerate() {
                if number < shown {
                    text += &format!(
                        "    {}\n",
                        set.iter().map(name).collect::<Vec<_>>().join(" = ")
                    );
                }
                let row = |picture| {
                    vec![
                        format!("{:?}", finding.kind),
                        number.to_string(),
                        name(picture).to_string(),
                    ]
                };
                rows.extend(set.iter().map(row));
            }
            if sets.len() > shown {
                text += &format!("    and {} more\n", sets.len() - shown);
            }
        }
        let findings = found.findings.iter().map(|finding| {
            json!({
                "kind": format!("{:?}", finding.kind),
                "sentence": finding.sentence,
                "pictures": finding.pictures.iter().map(name).collect::<Vec<_>>(),
                "sets": finding.sets.iter().map(|set| set.iter().map(name).collect::<Vec<_>>()).collect::<Vec<_>>(),
                "classes": finding.classes.iter().map(|class| &found.classes[*class]).collect::<Vec<_>>(),
            })
        });
        let unreadable = found
            .unreadable
            .iter()
            .map(|(path, reason)| json!({"path": path, "reason": reason}));
        let json = json!({
            "pictures": found.pictures.len(),
            "groups": found.groups,
            "classes": found.classes,
            "pictures_per_class": found.counts,
            "findings": findings.collect::<Vec<_>>(),
            "unreadable": unreadable.collect::<Vec<_>>(),
            "outside": found.outside.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        });
        for (path, _) in &found.unreadable {
            rows.push(vec!["Unreadable".to_string(), String::new(), path.clone()]);
        }
        Ok(Answer::new(text, json)
            .with_rows(["finding", "set", "path"], rows)
            .with_findings(found.is_serious()))
    }
}

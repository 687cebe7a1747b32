//! `regraft pick`: which backbone.

use std::path::PathBuf;

use clap::Args;
use regraft::extend::json;
use regraft_pictures::{Candidate, Config};

use crate::failure::Result;
use crate::kept::Kept;
use crate::network::Seeing;
use crate::output::{Answer, Output};
use crate::share::{share, share_json};
use crate::table::table;
use crate::watch::Watch;

/// Rank networks by what heads on them say of pictures that they have not seen
#[derive(Debug, Args)]
#[command(after_help = "\
At most 40 pictures of each class are looked at. A network is marked if no other is both better and faster.

Examples:
  regraft pick photos/ mobilenet_v2 efficientnet_b0 resnet50
  regraft pick photos/ dogs.h5 birds.keras --json")]
pub struct Pick {
    /// A folder with a folder for each class, or a CSV file with the columns path and label
    photos: PathBuf,
    /// Names of networks, or files
    #[arg(required = true, value_name = "NAME|FILE")]
    backbones: Vec<String>,
    #[command(flatten)]
    seeing: Seeing,
    #[command(flatten)]
    kept: Kept,
}

impl Pick {
    pub fn run(&self, output: &Output) -> Result<Answer> {
        let mut config = Config::default();
        config.photos.clone_from(&self.photos);
        self.seeing.set(&mut config);
        let cache = self.kept.cache.as_deref();
        let found =
            regraft_pictures::pick(&config, &self.backbones, cache, &mut Watch::new(output))?;
        let row = |one: &Candidate| {
            vec![
                one.backbone.clone(),
                format!("{:.3}", one.log_loss),
                share(&one.accuracy),
                format!("{:.3}", one.transferability.log_me),
                format!("{:.2}", one.transferability.h_score),
                format!("{:.1}", one.milliseconds),
                one.features.to_string(),
                if one.is_on_front {
                    "*".to_string()
                } else {
                    String::new()
                },
            ]
        };
        let header = [
            "network",
            "log-loss",
            "accuracy",
            "LogME",
            "H-score",
            "ms a picture",
            "features",
            "",
        ];
        let rows: Vec<Vec<String>> = found.iter().map(row).collect();
        let json = found.iter().map(|one| {
            json!({
                "backbone": one.backbone,
                "log_loss": one.log_loss,
                "accuracy": share_json(&one.accuracy),
                "log_me": one.transferability.log_me,
                "h_score": one.transferability.h_score,
                "milliseconds": one.milliseconds,
                "features": one.features,
                "is_on_front": one.is_on_front,
            })
        });
        let answer = Answer::new(table(&header, &rows), json.collect::<Vec<_>>().into());
        Ok(answer.with_rows(header, rows))
    }
}

//! `regraft weights`: where Keras' trained weights are on this machine, and getting them here.

use clap::Args;
use regraft::applications::weights::Lookup;
use regraft::applications::{self, Application, Architecture};
use regraft::extend::json;

use crate::failure::Result;
use crate::output::{Answer, Output};
use crate::table::table;

/// Find or download the weights that Keras publishes for a network; without one, list what there is
#[derive(Debug, Args)]
#[command(after_help = "\
Looked for in $REGRAFT_HOME/models (~/.regraft/models), then in Keras' $KERAS_HOME/models (~/.keras/models), then \
downloaded into the first. Files are verified by the hashes that Keras publishes. $REGRAFT_WEIGHTS_URL names a \
mirror.

Examples:
  regraft weights
  regraft weights mobilenet_v2
  regraft weights EfficientNetB0 --include-top --offline")]
pub struct Weights {
    /// A network: mobilenet_v2, EfficientNetB0, …
    network: Option<String>,
    /// With the layers that tell ImageNet's classes
    #[arg(long)]
    include_top: bool,
    /// The side of the images, where there are weights for several (MobileNet, MobileNetV2)
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// Download nothing
    #[arg(long)]
    offline: bool,
}

/// The columns of the table.
const HEADER: [&str; 4] = ["network", "file", "hash", "here"];

impl Weights {
    pub fn run(&self, output: &Output) -> Result<Answer> {
        match &self.network {
            Some(network) => self.find(network, output),
            None => self.list(),
        }
    }

    fn application(&self, network: &str) -> Result<Application<dyn Architecture>> {
        let application = applications::by_name(network)?.include_top(self.include_top);
        Ok(match self.size {
            Some(size) => application.input_shape([size, size, 3]),
            None => application,
        })
    }

    fn find(&self, network: &str, output: &Output) -> Result<Answer> {
        let application = self.application(network)?;
        let file = application.weights_file()?;
        let lookup = Lookup::new().download(!self.offline);
        let path = application.find_weights(&output.downloading(lookup, &file))?;
        let json = json!({
            "network": network,
            "name": file.name,
            "url": file.url,
            "hash": file.hash.as_ref().map(ToString::to_string),
            "path": path.display().to_string(),
        });
        let hash = file.hash.as_ref().map(ToString::to_string);
        let here = path.display().to_string();
        let row = vec![
            network.to_string(),
            file.name,
            hash.unwrap_or_default(),
            here.clone(),
        ];
        Ok(Answer::new(here, json).with_rows(HEADER, [row]))
    }

    fn list(&self) -> Result<Answer> {
        let lookup = Lookup::new();
        let (mut rows, mut json) = (Vec::new(), Vec::new());
        for network in applications::names() {
            // Some have no published weights.
            let Ok(file) = self.application(network)?.weights_file() else {
                continue;
            };
            let here = lookup.places(&file).into_iter().find(|path| path.is_file());
            let here = here.map(|path| path.display().to_string());
            let hash = file.hash.as_ref().map(ToString::to_string);
            json.push(json!({
                "network": network,
                "name": file.name,
                "url": file.url,
                "hash": hash,
                "path": here,
            }));
            let [hash, here] = [hash, here].map(|text| text.unwrap_or("–".to_string()));
            rows.push(vec![network.to_string(), file.name, hash, here]);
        }
        let text = table(&HEADER, &rows);
        Ok(Answer::new(text, json.into()).with_rows(HEADER, rows))
    }
}

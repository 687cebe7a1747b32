//! Which network is frozen under a classifier, and how it sees pictures.

use std::path::{Path, PathBuf};

use clap::Args;
use regraft::applications;
use regraft::applications::weights::Lookup;
use regraft_pictures::Config;

use crate::failure::Result;
use crate::output::Output;

/// The frozen network, and how it sees pictures.
#[derive(Debug, Args)]
pub struct Network {
    /// The name of a network, or a file with one; its classifier is cut off
    #[arg(long, value_name = "NAME|FILE", default_value = "mobilenet_v2")]
    pub backbone: String,
    #[command(flatten)]
    pub seeing: Seeing,
}

/// How a network sees pictures.
#[derive(Debug, Args)]
pub struct Seeing {
    /// A file with the weights of the network that --backbone names
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// The layer at which the network ends, if not where its classifier begins
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// What the network expects of pixels, where its layers do not tell
    #[arg(long, value_name = "HOW", value_parser = ["none", "tf", "torch", "caffe", "scaled"])]
    preprocessing: Option<String>,
    /// Rows and columns of what the network sees, where it leaves a choice
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// How pictures are resized
    #[arg(long, default_value = "bilinear", value_parser = ["nearest", "bilinear", "bicubic", "area", "lanczos3"])]
    interpolation: String,
    /// What becomes of another shape than the network sees
    #[arg(long, default_value = "stretch", value_parser = ["stretch", "crop", "pad"])]
    fit: String,
}

impl Seeing {
    pub fn set(&self, config: &mut Config) {
        config.weights.clone_from(&self.weights);
        config.layer.clone_from(&self.layer);
        config.preprocessing.clone_from(&self.preprocessing);
        config.size = self.size;
        config.interpolation.clone_from(&self.interpolation);
        config.fit.clone_from(&self.fit);
    }
}

impl Network {
    /// Gets the weights of a network that is named, if they are not here, and shows how far that is.
    pub fn fetch(&self, output: &Output) -> Result<()> {
        if self.seeing.weights.is_some() || Path::new(&self.backbone).exists() {
            return Ok(());
        }
        let Ok(application) = applications::by_name(&self.backbone) else {
            // The library says what it knows.
            return Ok(());
        };
        let application = application.include_top(false).pooling("avg");
        let application = match self.seeing.size {
            Some(size) => application.input_shape([size, size, 3]),
            None => application,
        };
        let file = application.weights_file()?;
        application.find_weights(&output.downloading(Lookup::new(), &file))?;
        Ok(())
    }

    pub fn set(&self, config: &mut Config) {
        config.backbone.clone_from(&self.backbone);
        self.seeing.set(config);
    }
}

//! What is known of pictures, as it is kept from run to run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use regraft::applications::weights;
use regraft_features::FeatureStore;

use crate::inspections::Inspections;
use crate::stamps::Stamps;
use crate::{Error, Result};

/// Where what is known is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    pub stamps: Stamps,
    pub inspections: Inspections,
    pub features: Arc<FeatureStore>,
}

impl Kept {
    /// What is kept in a folder.
    pub fn open(folder: &Path) -> Result<Self> {
        let features = FeatureStore::open(folder).map_err(elsewhere)?;
        Ok(Kept {
            stamps: Stamps::open(folder)?,
            inspections: Inspections::open(folder)?,
            features: Arc::new(features),
        })
    }

    /// Why something was not kept, if something was not.
    pub fn problem(&self) -> Option<String> {
        self.features.usage().problem
    }
}

/// Says how another folder is named.
fn elsewhere(error: regraft_features::Error) -> Error {
    let error = Error::from(error);
    match error.detail() {
        None => error,
        Some(detail) => Error::File(
            detail
                .clone()
                .help("name another folder for what is kept, with `--cache` or $REGRAFT_HOME"),
        ),
    }
}

/// Where features and measures are kept unless told otherwise: the folder `cache` in `$REGRAFT_HOME`, or in
/// `~/.regraft` where that is not set.
pub fn cache_folder() -> PathBuf {
    let nowhere = || std::env::temp_dir().join("regraft");
    weights::home().unwrap_or_else(nowhere).join("cache")
}

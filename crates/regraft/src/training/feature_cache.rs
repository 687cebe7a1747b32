//! Keeping the outputs of the frozen prefix, so that it runs once per sample.

use regraft_layers::Model;

use crate::Result;
use crate::training::batches::Dataset;
use crate::training::steps::{Features, Steps};

/// Whether the outputs of the frozen prefix are kept, so that it runs once per sample instead of
/// once per epoch. The numbers are the same, bit for bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureCache {
    /// Kept if there are epochs to save and they fit into 2 GiB: the default.
    Auto,
    /// Kept if they fit into this many bytes.
    Limit(usize),
    /// Not kept.
    Off,
}

impl FeatureCache {
    /// The most bytes that are kept.
    pub fn limit(self) -> usize {
        match self {
            FeatureCache::Auto => 2 << 30,
            FeatureCache::Limit(bytes) => bytes,
            FeatureCache::Off => 0,
        }
    }
}

/// Runs the frozen prefix over all samples, if that saves anything and fits.
pub(crate) fn keep_features(
    steps: &mut Steps,
    model: &Model,
    data: &Dataset<'_>,
    cache: FeatureCache,
    epochs: usize,
) -> Result<Option<Features>> {
    let samples = data.samples();
    let fits = steps.feature_bytes().saturating_mul(samples) <= cache.limit();
    if steps.prefix().is_none() || !fits || epochs == 0 {
        return Ok(None);
    }
    steps.features(&data.inputs, model.weights()).map(Some)
}

//! Keeping the outputs of the frozen prefix, so that it runs once per sample.

use regraft_data::RowSpec;
use regraft_layers::Model;

use crate::Result;
use crate::training::batches::{Batcher, Features};
use crate::training::samples::{Samples, lasting_key};
use crate::training::steps::{Steps, batch_size};

/// Whether the outputs of the frozen prefix are kept, so that it runs once per sample instead of
/// once per epoch. The numbers are the same, bit for bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureCache {
    /// Kept if they fit into 2 GiB: the default.
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

/// Runs the frozen prefix over all samples in chunks, if that saves anything, its outputs fit, and a
/// sample is the same in every epoch.
pub(crate) fn keep_features(
    steps: &mut Steps,
    model: &Model,
    data: &Samples<'_>,
    cache: FeatureCache,
    epochs: usize,
) -> Result<Option<Features>> {
    let samples = data.len();
    let fits = steps.feature_bytes().saturating_mul(samples) <= cache.limit();
    let keeps = fits && epochs > 0 && data.is_fixed();
    let Some(prefix) = steps.prefix().filter(|_| keeps) else {
        return Ok(None);
    };
    let chunk = batch_size(prefix, samples).min(most_at_once(data));
    let plan = steps.prefix_plan();
    let room = |(elements, _): &(usize, _)| Vec::with_capacity(elements * samples);
    let mut features = Features(plan.features.iter().map(room).collect());
    let mut batcher = Batcher::new(plan, data);
    for from in (0..samples).step_by(chunk) {
        let to = (from + chunk).min(samples);
        let (batch, _) = batcher.batch(data, None, None, (from, to), lasting_key())?;
        steps.extend_features(&batch, model.weights(), &mut features.0)?;
    }
    Ok(Some(features))
}

/// How many samples may be in memory at once: of large ones fewer.
pub(crate) fn most_at_once(data: &Samples<'_>) -> usize {
    const BYTES: usize = 64 << 20;
    let inputs = data.source.data().inputs();
    let elements: usize = inputs.iter().map(RowSpec::elements).sum();
    (BYTES / (4 * elements).max(1)).max(1)
}

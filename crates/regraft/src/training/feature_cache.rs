//! Keeping the outputs of the frozen prefix, so that it runs once per sample.

use regraft_data::RowSpec;
use regraft_features::FeatureStore;
use regraft_layers::Model;

use crate::Result;
use crate::training::batches::{Batch, Features, KeptFeatures};
use crate::training::extraction::{Compute, Extraction};
use crate::training::samples::Samples;
use crate::training::steps::{Steps, batch_size};
use crate::training::stored_rows::StoredRows;

/// Whether the outputs of the frozen prefix are kept in memory, so that it runs once per sample instead of
/// once per epoch. The numbers are the same, bit for bit. [`Fit::feature_store`](crate::Fit::feature_store)
/// keeps them on disk, too.
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

/// Runs the frozen prefix over all samples in chunks, if that saves anything, its outputs fit or can be on
/// disk, and a sample is the same in every epoch. What `store` has of them is not computed, and what it has
/// not is put there.
pub(crate) fn keep_features<'s>(
    steps: &mut Steps,
    model: &Model,
    data: &Samples<'_>,
    cache: FeatureCache,
    epochs: usize,
    store: Option<&'s FeatureStore>,
) -> Result<Option<KeptFeatures<'s>>> {
    let in_memory = steps.feature_bytes().saturating_mul(data.len()) <= cache.limit();
    let Some(prefix) = steps.prefix().filter(|_| epochs > 0) else {
        return Ok(None);
    };
    if !data.is_fixed() {
        if let Some(store) = store {
            store.note(NOT_FIXED);
        }
        return Ok(None);
    }
    let stored = store.map(|store| StoredRows::of_program(store, prefix.program(), data));
    let mut stored = stored.transpose()?.and_then(Result::ok);
    if !in_memory && stored.is_none() {
        return Ok(None);
    }
    let extraction = Extraction {
        chunk: batch_size(prefix, data.len()).min(most_at_once(data)),
        plan: steps.prefix_plan(),
        widths: steps.feature_sizes(),
        in_memory,
    };
    let mut prefix = Prefix { steps, model };
    let (rows, _) = extraction.run(data, &mut prefix, stored.as_mut())?;
    Ok(match stored {
        _ if in_memory => Some(KeptFeatures::InMemory(Features(rows))),
        Some(stored) if stored.is_whole() => Some(KeptFeatures::OnDisk(Box::new(stored))),
        _ => None,
    })
}

/// Why nothing is kept of samples that are not the same in every epoch.
pub(crate) const NOT_FIXED: &str = "the samples are not the same in every epoch";

/// The frozen prefix of some steps.
struct Prefix<'p> {
    steps: &'p mut Steps,
    model: &'p Model,
}

impl Compute for Prefix<'_> {
    fn run(&mut self, batch: &Batch<'_>) -> Result<()> {
        self.steps.run_prefix(batch, self.model.weights())
    }

    fn words(&self, output: usize) -> &[f32] {
        self.steps.feature(output)
    }
}

/// How many samples may be in memory at once: of large ones fewer.
pub(crate) fn most_at_once(data: &Samples<'_>) -> usize {
    let inputs = data.source.data().inputs();
    most_of(inputs.iter().map(RowSpec::elements).sum())
}

/// As [`most_at_once`], of samples of so many elements.
pub(crate) fn most_of(elements: usize) -> usize {
    const BYTES: usize = 64 << 20;
    (BYTES / (4 * elements).max(1)).max(1)
}

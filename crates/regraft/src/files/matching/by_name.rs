//! Files whose layers have names and nothing else: `.safetensors`.

use std::collections::{HashMap, HashSet};

use regraft_io::{Checkpoint, SavedLayer};

use super::Wanted;
use super::by_class::or_by_class;

/// For each wanted layer its counterpart: by name where the names cover the model's, else by class and
/// order.
pub(super) fn pair<'c>(
    wanted: &[&Wanted<'_>],
    _checkpoint: &'c Checkpoint,
    saved: &[&'c SavedLayer],
    kept: &HashSet<String>,
) -> Vec<Option<&'c SavedLayer>> {
    // Names of Keras may have a dot (`mobilenetv2_1.00_160`), which other programs put
    // between names.
    let plain = |path: &str| path.replace('.', "/");
    let layers = saved.iter().map(|layer| (plain(&layer.path), *layer));
    let by_name: HashMap<String, &SavedLayer> = layers.collect();
    let named = |layer: &&Wanted<'_>| by_name.get(&plain(&layer.path)).copied();
    or_by_class(wanted, saved, kept, wanted.iter().map(named).collect())
}

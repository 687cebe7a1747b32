//! The weights of one layer among the tensors that a file has for it.

use regraft_autograd::VariableId;
use regraft_io::SavedWeight;
use regraft_layers::Weight;

use super::{Wanted, old_names};

/// What each weight of a single layer is among `saved`: by name if the file names its tensors, else by
/// their order, which is the order in which the layer made them.
pub(super) fn weights_of<'c>(
    layer: &Wanted<'_>,
    saved: &'c [SavedWeight],
) -> Vec<Option<&'c SavedWeight>> {
    let found = |(position, (_, weight)): (usize, &(VariableId, &Weight))| {
        if are_unnamed(saved) {
            let kept = saved.len().checked_sub(layer.weights.len())?;
            let fits = kept == 0 || has_kept(layer, saved);
            return saved.get(kept + position).filter(|_| fits);
        }
        let means = |name: &str| old_names::means(name, weight.name());
        saved
            .iter()
            .find(|saved| saved.variable().is_some_and(means))
    };
    layer.weights.iter().enumerate().map(found).collect()
}

/// Whether weights of what the layer contains stand in front of its own.
pub(super) fn has_kept(layer: &Wanted<'_>, saved: &[SavedWeight]) -> bool {
    layer.kept > 0 && are_unnamed(saved) && saved.len() == layer.kept + layer.weights.len()
}

fn are_unnamed(saved: &[SavedWeight]) -> bool {
    let unnamed = |saved: &SavedWeight| saved.variable().is_none_or(old_names::is_unnamed);
    saved.iter().all(unnamed)
}

//! What holds fine-tuning to its start (L2-SP), for the time of the training.

use regraft_autograd::VariableId;
use regraft_layers::regularizers::{L2, L2SP};
use regraft_layers::{Model as Network, Regularizer};

use crate::fine_tuning::plan::Parts;
use crate::training::blocks::Block;
use crate::{Error, Result};

/// Regularizers of another time.
pub(crate) type Regularizers = Vec<(VariableId, Option<Regularizer>)>;

/// Holds the base to its values now with ½ · `base` · ‖w − w₀‖² and the head to zero with ½ · `head` · ‖w‖². Returns the
/// regularizers that were in their place.
pub(crate) fn anchor(
    network: &mut Network,
    parts: &Parts,
    (base, head): (f32, f32),
) -> Result<Regularizers> {
    let start = L2SP::towards(network, base / 2.0);
    let mut regularizers = Vec::new();
    let ids = |blocks: &[Block]| -> Vec<VariableId> {
        blocks
            .iter()
            .flat_map(|block| block.parameters.clone())
            .collect()
    };
    for id in ids(parts.base()) {
        let Some(weight) = network.weights().get(id) else {
            continue;
        };
        let towards = start.of(weight.path()).map_err(Error::Model)?;
        regularizers.push((id, Some(towards)));
    }
    for id in ids(parts.head()) {
        regularizers.push((id, Some(Regularizer::new(L2 { l2: head / 2.0 }))));
    }
    Ok(network.exchange_regularizers(regularizers))
}

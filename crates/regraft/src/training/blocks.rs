//! The blocks of a model: layers with parameters that are taken together where rates or freezing go from one to
//! the next.

use regraft_autograd::VariableId;
use regraft_layers::{Model, Weight, WeightKind};

use crate::training::module_blocks::{Belongs, Modules};

/// Layers that count as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// What their paths have in common, or the path of the first.
    pub name: String,
    /// Their paths.
    pub layers: Vec<String>,
    /// Their parameters.
    pub parameters: Vec<VariableId>,
    /// Whether they count as the classifier does where rates go from layer to layer.
    pub with_classifier: bool,
}

/// The blocks in the order of the layers, each layer of nested models by itself: those that a name tells
/// (`conv2_block1_1_conv`, `block_3_expand`, `layer1.0.conv1`) are one, and a normalization belongs to the layer before it.
pub(crate) fn blocks(model: &Model) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let places = model.places();
    let modules = Modules::of(places.iter().map(|place| place.path.as_str()));
    for place in places.into_iter().filter(|place| !place.is_repeated) {
        let weights = place
            .all_weights()
            .filter_map(|&id| model.weights().get(id));
        let parameters = weights.filter(|weight| weight.kind() == WeightKind::Parameter);
        let parameters: Vec<VariableId> = parameters.map(Weight::id).collect();
        if parameters.is_empty() {
            continue;
        }
        let module = modules.belongs(&place.path);
        let with_classifier = module == Some(Belongs::WithClassifier);
        let is_normalization = place.class_name.ends_with("Normalization");
        let (name, belongs) = match module {
            Some(Belongs::To(block)) => (block, false),
            Some(Belongs::ToPrevious) => (place.path.clone(), true),
            Some(Belongs::WithClassifier) => (place.path.clone(), false),
            None => match block_of(&place.path) {
                Some(block) => (block.to_string(), false),
                None => (place.path.clone(), is_normalization),
            },
        };
        match blocks
            .last_mut()
            .filter(|last| belongs || last.name == name)
        {
            Some(block) => {
                block.parameters.extend(parameters);
                block.layers.push(place.path);
            }
            None => blocks.push(Block {
                name,
                layers: vec![place.path],
                parameters,
                with_classifier,
            }),
        }
    }
    blocks
}

/// The beginning of a path that names a block: `base/conv2_block1` of `base/conv2_block1_1_conv`,
/// `block2a` of `block2a_expand_conv`; the first word "block" that a number follows.
fn block_of(path: &str) -> Option<&str> {
    path.match_indices("block").find_map(|(at, word)| {
        let start = at + word.len();
        let number = start + usize::from(path[start..].starts_with('_'));
        let digits = path[number..]
            .chars()
            .take_while(char::is_ascii_digit)
            .count();
        let end = number + digits;
        // The copies of a block of an EfficientNet have letters.
        let rest = &path.as_bytes()[end..];
        let letter = rest.first().is_some_and(u8::is_ascii_lowercase)
            && rest.get(1).is_none_or(|next| matches!(next, b'_' | b'/'));
        (digits > 0).then(|| &path[..end + usize::from(letter)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_those_of_kerass_names() {
        for (path, block) in [
            ("conv2_block1_1_conv", Some("conv2_block1")),
            ("base/block_12_expand_BN", Some("base/block_12")),
            ("block2a_expand_conv", Some("block2a")),
            ("block1_conv2", Some("block1")),
            ("net_stage_0_block_10_gamma", Some("net_stage_0_block_10")),
            ("block_3/attention/query", Some("block_3")),
            ("blocks/block_3_expand", Some("blocks/block_3")),
            ("block_net/block2a_expand", Some("block_net/block2a")),
            ("blocky/blocks", None),
            ("blocks", None),
            ("block_add", None),
            ("expanded_conv_project", None),
        ] {
            assert_eq!(block_of(path), block, "{path}");
        }
    }
}

//! What the layers of Keras' EfficientNets are called in the files of the package `efficientnet-pytorch`.

/// The blocks that follow one another in a stack of the smallest network; the others have more.
const REPEATS: [usize; 7] = [1, 2, 2, 3, 3, 4, 1];

/// The name here of a tensor there: `_blocks.3._expand_conv.weight` is `block3b_expand_conv.weight`.
pub(crate) fn efficientnet(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let (layer, tensor) = match parts[..] {
        ["_blocks", number, layer, tensor] => {
            let Some(block) = number.parse().ok().and_then(block_name) else {
                return name.to_string();
            };
            let layer = match layer {
                "_bn0" => "_expand_bn",
                "_depthwise_conv" => "_dwconv",
                "_bn1" => "_bn",
                "_bn2" => "_project_bn",
                layer => layer,
            };
            (format!("{block}{layer}"), tensor)
        }
        [layer, tensor] => {
            let layer = match layer {
                "_conv_stem" => "stem_conv",
                "_bn0" => "stem_bn",
                "_conv_head" => "top_conv",
                "_bn1" => "top_bn",
                "_fc" => "predictions",
                layer => layer,
            };
            (layer.to_string(), tensor)
        }
        _ => return name.to_string(),
    };
    format!("{layer}.{tensor}")
}

/// `block3b` of the block of this number, counted through all stacks.
fn block_name(number: usize) -> Option<String> {
    let mut position = number;
    for (stack, repeats) in REPEATS.into_iter().enumerate() {
        match position < repeats {
            true => {
                return Some(format!(
                    "block{}{}",
                    stack + 1,
                    char::from(b'a' + position as u8)
                ));
            }
            false => position -= repeats,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_counted_through_the_stacks() {
        assert_eq!(efficientnet("_blocks.0._bn1.weight"), "block1a_bn.weight");
        assert_eq!(
            efficientnet("_blocks.4._expand_conv.weight"),
            "block3b_expand_conv.weight"
        );
        assert_eq!(
            efficientnet("_blocks.15._project_conv.weight"),
            "block7a_project_conv.weight"
        );
        assert_eq!(
            efficientnet("_blocks.16._project_conv.weight"),
            "_blocks.16._project_conv.weight"
        );
        assert_eq!(efficientnet("_fc.bias"), "predictions.bias");
    }
}

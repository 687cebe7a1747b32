//! Where layers that are called as PyTorch's modules are belong, by their names: as timm groups its networks for
//! learning rates from layer to layer (`param_groups_layer_decay`).

/// Where a layer belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    /// To the block of this path.
    To(String),
    /// To the block before it.
    ToPrevious,
    /// To none, though it is a normalization: it counts as the classifier does where rates go from layer to layer.
    WithClassifier,
}

/// The paths of a network's layers, asked where each belongs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Modules {
    /// Whether the last convolution counts as the last block does: timm's EfficientNets and GhostNets have it so, its
    /// MobileNetV3 counts it with the classifier.
    ends_last_block: bool,
}

impl Modules {
    pub fn of<'p>(mut paths: impl Iterator<Item = &'p str>) -> Self {
        let ends_last_block = paths.any(|path| {
            let name = name(path);
            name == "bn2" || name.contains(".ghost1.")
        });
        Modules { ends_last_block }
    }

    /// Where the layer of this path belongs, if its name tells.
    pub fn belongs(&self, path: &str) -> Option<Belongs> {
        let name = name(path);
        let parts: Vec<&str> = name.split('.').collect();
        let number = |at: usize| parts.get(at).is_some_and(|part| is_number(part));
        // So many parts of the name, of the path with what is in front.
        let first = |count: usize| {
            let length = parts[..count].iter().map(|part| part.len()).sum::<usize>() + count - 1;
            let end = path.len() - name.len() + length;
            Some(Belongs::To(path[..end].to_string()))
        };
        match parts.as_slice() {
            ["conv_head"] if self.ends_last_block => Some(Belongs::ToPrevious),
            ["conv_head"] | ["head", "norm"] | [.., "norm5"] => Some(Belongs::WithClassifier),
            // timm: EfficientNets, MobileNets, GhostNets.
            ["blocks", _, _, _, ..] if number(1) && number(2) => first(3),
            // ConvNeXt.
            ["stages", _, "blocks", _, _, ..] if number(1) && number(3) => first(4),
            ["stages", stage, "downsample", ..] if number(1) => {
                let prefix = &path[..path.len() - name.len()];
                Some(Belongs::To(format!("{prefix}stages.{stage}.blocks.0")))
            }
            // ResNets and ShuffleNets.
            [stage, _, _, ..]
                if number(1) && (counts(stage, "layer") || counts(stage, "stage")) =>
            {
                first(2)
            }
            ["conv1" | "stem", _] if number(1) => first(1),
            // DenseNets.
            [.., block, layer, _] if counts(block, "denseblock") && counts(layer, "denselayer") => {
                first(parts.len() - 1)
            }
            [.., transition, _] if counts(transition, "transition") => Some(Belongs::ToPrevious),
            // torchvision: RegNets, EfficientNets and ConvNeXt, MobileNetV2 and SqueezeNet, Inception.
            ["trunk_output", stage, _, ..] if counts(stage, "block") => first(3),
            ["features", _, _, _, ..] if number(1) && number(2) => first(3),
            ["features", _, _, ..] if number(1) => first(2),
            [mixed, _, ..] if mixed.starts_with("Mixed_") => first(1),
            _ => None,
        }
    }
}

/// What a layer is called, without the models that it is in.
fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a part is `word` and a number.
fn counts(part: &str, word: &str) -> bool {
    part.strip_prefix(word).is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_those_of_pytorchs_modules() {
        let modules = Modules::default();
        for (path, block) in [
            ("blocks.1.0.conv_pw", "blocks.1.0"),
            ("base/blocks.6.3.ghost1.primary_conv.0", "base/blocks.6.3"),
            ("layer1.0.downsample.1", "layer1.0"),
            ("stage2.3.branch2.5", "stage2.3"),
            ("conv1.6", "conv1"),
            ("stem.1", "stem"),
            ("stages.2.blocks.10.gamma", "stages.2.blocks.10"),
            ("stages.2.blocks.1.mlp.fc2", "stages.2.blocks.1"),
            ("base/stages.1.downsample.0", "base/stages.1.blocks.0"),
            (
                "features.denseblock1.denselayer6.conv2",
                "features.denseblock1.denselayer6",
            ),
            (
                "trunk_output.block2.block2-1.f.a.0",
                "trunk_output.block2.block2-1",
            ),
            ("features.2.0.block.1.0", "features.2.0"),
            ("features.0.1", "features.0"),
            ("features.3.conv.0.0", "features.3"),
            ("Mixed_5b.branch1x1.conv", "Mixed_5b"),
        ] {
            let expected = Some(Belongs::To(block.to_string()));
            assert_eq!(modules.belongs(path), expected, "{path}");
        }
        for path in [
            "fc",
            "conv1",
            "features.0",
            "features.conv0",
            "classifier.6",
            "block_1_conv",
        ] {
            assert_eq!(modules.belongs(path), None, "{path}");
        }
        let transition = modules.belongs("features.transition1.conv");
        assert_eq!(transition, Some(Belongs::ToPrevious));
        assert_eq!(modules.belongs("conv_head"), Some(Belongs::WithClassifier));
        let modules = Modules::of(["conv_head", "bn2"].into_iter());
        assert_eq!(modules.belongs("conv_head"), Some(Belongs::ToPrevious));
    }
}

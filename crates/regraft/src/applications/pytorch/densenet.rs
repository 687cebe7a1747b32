//! DenseNet, which torchvision and timm name alike.

use regraft_layers::{LayerOutput, Result};

use super::network::Body;
use super::writer::{Conv, Torch};

#[derive(Clone, Copy, Debug)]
pub(super) struct DenseNet {
    blocks: [usize; 4],
    /// The stem's filters.
    stem: usize,
    /// How many channels each layer adds.
    growth: usize,
}

impl DenseNet {
    pub const fn new(blocks: [usize; 4], stem: usize, growth: usize) -> Self {
        DenseNet {
            blocks,
            stem,
            growth,
        }
    }
}

fn norm_relu(
    torch: &mut Torch<'_, '_>,
    [norm, relu]: [String; 2],
    x: LayerOutput,
) -> Result<LayerOutput> {
    let x = torch.norm(&norm, x)?;
    torch.act(&relu, "relu", x)
}

impl Body for DenseNet {
    fn features(&self, torch: &mut Torch<'_, '_>, image: LayerOutput) -> Result<LayerOutput> {
        let named = |part: &str| format!("features.{part}");
        let stem = Conv::new(self.stem, 7).stride(2);
        let mut x = torch.conv("features.conv0", stem, image)?;
        x = norm_relu(torch, ["norm0", "relu0"].map(named), x)?;
        x = torch.max_pool("features.pool0", [3, 2, 1], x)?;
        for (layers, block) in self.blocks.into_iter().zip(1..) {
            for layer in 1..=layers {
                let prefix = format!("features.denseblock{block}.denselayer{layer}");
                let named = |part: &str| format!("{prefix}.{part}");
                let y = norm_relu(torch, ["norm1", "relu1"].map(named), x)?;
                let y = torch.conv(&named("conv1"), Conv::new(4 * self.growth, 1), y)?;
                let y = norm_relu(torch, ["norm2", "relu2"].map(named), y)?;
                let y = torch.conv(&named("conv2"), Conv::new(self.growth, 3), y)?;
                let end = match layer == layers {
                    true => format!("features.denseblock{block}"),
                    false => prefix.clone(),
                };
                x = torch.concat(&end, &[x, y])?;
            }
            if block < 4 {
                let named = |part: &str| format!("features.transition{block}.{part}");
                let half = torch.channels(x) / 2;
                x = norm_relu(torch, ["norm", "relu"].map(named), x)?;
                x = torch.conv(&named("conv"), Conv::new(half, 1), x)?;
                x = torch.mean_pool(&named("pool"), [2, 2, 0], x)?;
            }
        }
        x = torch.norm("features.norm5", x)?;
        torch.act("relu", "relu", x)
    }

    fn classifier(&self) -> &'static str {
        "classifier"
    }

    fn stages(&self) -> Vec<String> {
        let blocks = (1..4).map(|block| format!("features.denseblock{block}"));
        let first = ["features.relu0".to_string()].into_iter();
        first.chain(blocks).chain(["relu".to_string()]).collect()
    }

    fn first(&self) -> &'static str {
        "features.conv0"
    }

    fn beside(&self) -> &'static [&'static str] {
        &["classifier."]
    }

    /// Published files have the names of an older version: `denselayer1.norm.1.weight`.
    fn renamed(&self, tensor: &str) -> Option<String> {
        let (prefix, part) = tensor.split_once(".denselayer")?;
        let kind = ["norm", "relu", "conv"]
            .into_iter()
            .find(|kind| part.contains(&format!(".{kind}.")))?;
        let joined = part.replacen(&format!(".{kind}."), &format!(".{kind}"), 1);
        Some(format!("{prefix}.denselayer{joined}"))
    }
}

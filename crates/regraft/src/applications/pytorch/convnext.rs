//! ConvNeXt, under torchvision's names and timm's.

use regraft_layers::{LayerOutput, Result};

use super::network::Body;
use super::writer::{Conv, Torch};

#[derive(Clone, Copy, Debug)]
pub(super) struct ConvNeXt {
    blocks: [usize; 4],
    /// The channels of the first stage, which double from stage to stage.
    channels: usize,
    timm: bool,
    /// Whether the layers that widen and narrow are convolutions of single pixels, as in timm's small ones.
    convolves: bool,
}

impl ConvNeXt {
    pub const fn torchvision(blocks: [usize; 4], channels: usize) -> Self {
        ConvNeXt {
            blocks,
            channels,
            timm: false,
            convolves: false,
        }
    }

    pub const fn timm(blocks: [usize; 4], channels: usize) -> Self {
        ConvNeXt {
            timm: true,
            ..ConvNeXt::torchvision(blocks, channels)
        }
    }

    pub const fn convolving(self) -> Self {
        ConvNeXt {
            convolves: true,
            ..self
        }
    }

    fn block_name(&self, stage: usize, block: usize) -> String {
        match self.timm {
            true => format!("stages.{stage}.blocks.{block}"),
            false => format!("features.{}.{block}", 2 * stage + 1),
        }
    }

    fn block(
        &self,
        torch: &mut Torch<'_, '_>,
        name: &str,
        share: f64,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        let channels = torch.channels(x);
        let [depthwise, norm, widening, act, narrowing, scale] = match self.timm {
            true => ["conv_dw", "norm", "mlp.fc1", "mlp.act", "mlp.fc2", "gamma"],
            false => [
                "block.0",
                "block.2",
                "block.3",
                "block.4",
                "block.5",
                "layer_scale",
            ],
        }
        .map(|part| format!("{name}.{part}"));
        let conv = Conv::new(channels, 7).groups(channels).bias();
        let y = torch.conv(&depthwise, conv, x)?;
        let mut y = torch.layer_norm(&norm, y)?;
        y = self.linear(torch, &widening, 4 * channels, y)?;
        y = torch.act(&act, "gelu", y)?;
        y = self.linear(torch, &narrowing, channels, y)?;
        y = torch.scale(&scale, y)?;
        y = torch.drop_path(&format!("{name}.stochastic_depth"), share, y)?;
        torch.block_end(name, Some(x), y)
    }

    /// A linear layer of each pixel.
    fn linear(
        &self,
        torch: &mut Torch<'_, '_>,
        name: &str,
        units: usize,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        match self.convolves {
            true => torch.conv(name, Conv::new(units, 1).bias(), x),
            false => torch.linear(name, units, x),
        }
    }

    fn final_norm(&self) -> &'static str {
        if self.timm {
            "head.norm"
        } else {
            "classifier.0"
        }
    }
}

impl Body for ConvNeXt {
    fn features(&self, torch: &mut Torch<'_, '_>, image: LayerOutput) -> Result<LayerOutput> {
        let [stem, stem_norm] = match self.timm {
            true => ["stem.0", "stem.1"],
            false => ["features.0.0", "features.0.1"],
        };
        let patches = Conv::new(self.channels, 4).stride(4).padding(0).bias();
        let mut x = torch.conv(stem, patches, image)?;
        x = torch.layer_norm(stem_norm, x)?;
        let count: usize = self.blocks.iter().sum();
        let mut number = 0;
        for (stage, blocks) in self.blocks.into_iter().enumerate() {
            if stage > 0 {
                let prefix = match self.timm {
                    true => format!("stages.{stage}.downsample"),
                    false => format!("features.{}", 2 * stage),
                };
                let halving = Conv::new(self.channels << stage, 2).stride(2).padding(0);
                x = torch.layer_norm(&format!("{prefix}.0"), x)?;
                x = torch.conv(&format!("{prefix}.1"), halving.bias(), x)?;
            }
            for block in 0..blocks {
                let share = number as f64 / (count - 1) as f64;
                x = self.block(torch, &self.block_name(stage, block), share, x)?;
                number += 1;
            }
        }
        Ok(x)
    }

    fn top(&self, torch: &mut Torch<'_, '_>, features: LayerOutput) -> Result<LayerOutput> {
        let x = torch.global_pool("avgpool", features)?;
        let x = torch.layer_norm(self.final_norm(), x)?;
        torch.dropout("dropout", x)
    }

    fn after_pooling(&self, torch: &mut Torch<'_, '_>, pooled: LayerOutput) -> Result<LayerOutput> {
        torch.layer_norm(self.final_norm(), pooled)
    }

    fn classifier(&self) -> &'static str {
        if self.timm { "head.fc" } else { "classifier.2" }
    }

    fn stages(&self) -> Vec<String> {
        let end = |(stage, blocks): (usize, usize)| self.block_name(stage, blocks - 1);
        self.blocks.into_iter().enumerate().map(end).collect()
    }

    fn first(&self) -> &'static str {
        if self.timm { "stem.0" } else { "features.0.0" }
    }

    fn beside(&self) -> &'static [&'static str] {
        if self.timm {
            &["head."]
        } else {
            &["classifier."]
        }
    }

    /// The factor of a block is a tensor of the block itself there, and a weight of a layer here.
    fn renamed(&self, tensor: &str) -> Option<String> {
        let factor = if self.timm { ".gamma" } else { ".layer_scale" };
        tensor.ends_with(factor).then(|| format!("{tensor}.gamma"))
    }
}

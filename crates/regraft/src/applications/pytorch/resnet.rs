//! ResNet and what was made of it: with groups, wider, and timm's with another stem and other shortcuts.

use regraft_layers::{LayerOutput, Result};

use super::network::Body;
use super::writer::{Conv, Torch};

/// The filters of the stages' inner convolutions.
const FILTERS: [usize; 4] = [64, 128, 256, 512];

#[derive(Clone, Copy, Debug)]
pub(super) struct ResNet {
    /// How many blocks each stage has.
    blocks: [usize; 4],
    /// Whether a block narrows, convolves and widens four times.
    bottleneck: bool,
    groups: usize,
    /// The filters of each group in the first stage.
    width: usize,
    /// Whether three small windows are in place of the first, and shortcuts are halved by means: timm's `d`.
    d: bool,
}

impl ResNet {
    pub const fn basic(blocks: [usize; 4]) -> Self {
        ResNet {
            blocks,
            bottleneck: false,
            groups: 1,
            width: 64,
            d: false,
        }
    }

    pub const fn bottleneck(blocks: [usize; 4]) -> Self {
        let basic = ResNet::basic(blocks);
        ResNet {
            bottleneck: true,
            ..basic
        }
    }

    pub const fn grouped(self, groups: usize, width: usize) -> Self {
        ResNet {
            groups,
            width,
            ..self
        }
    }

    pub const fn d(self) -> Self {
        ResNet { d: true, ..self }
    }

    fn block(
        &self,
        torch: &mut Torch<'_, '_>,
        name: &str,
        [filters, stride]: [usize; 2],
        share: f64,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        let named = |part: &str| format!("{name}.{part}");
        let outputs = if self.bottleneck {
            4 * filters
        } else {
            filters
        };
        let mut convs = Vec::new();
        if self.bottleneck {
            let width = filters * self.width / 64 * self.groups;
            convs.push(Conv::new(width, 1));
            convs.push(Conv::new(width, 3).stride(stride).groups(self.groups));
            convs.push(Conv::new(outputs, 1));
        } else {
            convs.push(Conv::new(filters, 3).stride(stride));
            convs.push(Conv::new(filters, 3));
        }
        let mut y = x;
        for (conv, number) in convs.iter().zip(1..) {
            y = torch.conv(&named(&format!("conv{number}")), *conv, y)?;
            y = torch.norm(&named(&format!("bn{number}")), y)?;
            if number < convs.len() {
                y = torch.act(&named(&format!("relu{number}")), "relu", y)?;
            }
        }
        y = torch.drop_path(&named("drop_path"), share, y)?;
        let mut shortcut = x;
        if stride > 1 || torch.channels(x) != outputs {
            let mut projection = Conv::new(outputs, 1).stride(stride);
            let [conv, norm] = if self.d { ["1", "2"] } else { ["0", "1"] };
            if self.d && stride > 1 {
                shortcut = torch.halved(&named("downsample.0"), x)?;
            }
            if self.d {
                projection = projection.stride(1);
            }
            shortcut = torch.conv(&named(&format!("downsample.{conv}")), projection, shortcut)?;
            shortcut = torch.norm(&named(&format!("downsample.{norm}")), shortcut)?;
        }
        let sum = torch.add(&named("add"), y, shortcut)?;
        torch.act(name, "relu", sum)
    }
}

impl Body for ResNet {
    fn features(&self, torch: &mut Torch<'_, '_>, image: LayerOutput) -> Result<LayerOutput> {
        let mut x = image;
        if self.d {
            x = torch.conv("conv1.0", Conv::new(32, 3).stride(2), x)?;
            x = torch.norm("conv1.1", x)?;
            x = torch.act("conv1.2", "relu", x)?;
            x = torch.conv("conv1.3", Conv::new(32, 3), x)?;
            x = torch.norm("conv1.4", x)?;
            x = torch.act("conv1.5", "relu", x)?;
            x = torch.conv("conv1.6", Conv::new(64, 3), x)?;
        } else {
            x = torch.conv("conv1", Conv::new(64, 7).stride(2), x)?;
        }
        x = torch.norm("bn1", x)?;
        x = torch.act("relu", "relu", x)?;
        x = torch.max_pool("maxpool", [3, 2, 1], x)?;
        let count: usize = self.blocks.iter().sum();
        let mut number = 0;
        for (stage, (filters, blocks)) in FILTERS.into_iter().zip(self.blocks).enumerate() {
            for block in 0..blocks {
                let name = format!("layer{}.{block}", stage + 1);
                let stride = if block == 0 && stage > 0 { 2 } else { 1 };
                let share = number as f64 / (count - 1) as f64;
                x = self.block(torch, &name, [filters, stride], share, x)?;
                number += 1;
            }
        }
        Ok(x)
    }

    fn classifier(&self) -> &'static str {
        "fc"
    }

    fn stages(&self) -> Vec<String> {
        let last = |(stage, blocks): (usize, usize)| format!("layer{}.{}", stage + 1, blocks - 1);
        let stages = self.blocks.into_iter().enumerate().map(last);
        ["relu".to_string()].into_iter().chain(stages).collect()
    }

    fn first(&self) -> &'static str {
        if self.d { "conv1.0" } else { "conv1" }
    }

    fn beside(&self) -> &'static [&'static str] {
        &["fc."]
    }
}

//! torchvision's MobileNetV2 and MobileNetV3.

use regraft_layers::{LayerOutput, Result};

use super::network::Body;
use super::writer::{Conv, FC, Gate, Inverted, Torch};
use crate::applications::blocks::make_divisible;

#[derive(Clone, Copy, Debug)]
pub(super) struct MobileNetV2;

/// How much the stacks widen, filters, number of blocks, and the stride of the first.
const STACKS: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

impl Body for MobileNetV2 {
    fn features(&self, torch: &mut Torch<'_, '_>, image: LayerOutput) -> Result<LayerOutput> {
        let stem = Conv::new(32, 3).stride(2);
        let mut x = torch.conv_norm_act("features.0", stem, Some("relu6"), image)?;
        let mut number = 1;
        for (expansion, filters, count, first_stride) in STACKS {
            for position in 0..count {
                let stride = if position == 0 { first_stride } else { 1 };
                let name = format!("features.{number}");
                x = block_v2(torch, &name, [expansion, filters, stride], x)?;
                number += 1;
            }
        }
        let name = format!("features.{number}");
        torch.conv_norm_act(&name, Conv::new(1280, 1), Some("relu6"), x)
    }

    fn top(&self, torch: &mut Torch<'_, '_>, features: LayerOutput) -> Result<LayerOutput> {
        let x = torch.global_pool("avgpool", features)?;
        torch.dropout("classifier.0", x)
    }

    fn classifier(&self) -> &'static str {
        "classifier.1"
    }

    fn stages(&self) -> Vec<String> {
        [1, 3, 6, 13, 18].map(block_output).to_vec()
    }

    fn first(&self) -> &'static str {
        "features.0.0"
    }

    fn beside(&self) -> &'static [&'static str] {
        &["classifier."]
    }
}

fn block_output(number: usize) -> String {
    match number {
        18 => "features.18.2".to_string(),
        number => format!("features.{number}"),
    }
}

fn block_v2(
    torch: &mut Torch<'_, '_>,
    name: &str,
    [expansion, filters, stride]: [usize; 3],
    x: LayerOutput,
) -> Result<LayerOutput> {
    let channels = torch.channels(x);
    let widened = channels * expansion;
    let mut part = 0;
    let mut y = x;
    if expansion > 1 {
        let name = format!("{name}.conv.0");
        y = torch.conv_norm_act(&name, Conv::new(widened, 1), Some("relu6"), y)?;
        part = 1;
    }
    let depthwise = Conv::new(widened, 3).stride(stride).groups(widened);
    y = torch.conv_norm_act(&format!("{name}.conv.{part}"), depthwise, Some("relu6"), y)?;
    let projection = Conv::new(filters, 1);
    y = torch.conv(&format!("{name}.conv.{}", part + 1), projection, y)?;
    let y = torch.norm(&format!("{name}.conv.{}", part + 2), y)?;
    let adds = stride == 1 && channels == filters;
    torch.block_end(name, adds.then_some(x), y)
}

#[derive(Clone, Copy, Debug)]
pub(super) struct MobileNetV3 {
    blocks: &'static [BlockV3],
    /// What stands between the features and the classifier.
    hidden: usize,
}

/// The window, what a block widens to, filters, whether it weighs channels, whether its activation is the hard
/// one, and the stride.
type BlockV3 = (usize, usize, usize, bool, bool, usize);

const SMALL: &[BlockV3] = &[
    (3, 16, 16, true, false, 2),
    (3, 72, 24, false, false, 2),
    (3, 88, 24, false, false, 1),
    (5, 96, 40, true, true, 2),
    (5, 240, 40, true, true, 1),
    (5, 240, 40, true, true, 1),
    (5, 120, 48, true, true, 1),
    (5, 144, 48, true, true, 1),
    (5, 288, 96, true, true, 2),
    (5, 576, 96, true, true, 1),
    (5, 576, 96, true, true, 1),
];

const LARGE: &[BlockV3] = &[
    (3, 16, 16, false, false, 1),
    (3, 64, 24, false, false, 2),
    (3, 72, 24, false, false, 1),
    (5, 72, 40, true, false, 2),
    (5, 120, 40, true, false, 1),
    (5, 120, 40, true, false, 1),
    (3, 240, 80, false, true, 2),
    (3, 200, 80, false, true, 1),
    (3, 184, 80, false, true, 1),
    (3, 184, 80, false, true, 1),
    (3, 480, 112, true, true, 1),
    (3, 672, 112, true, true, 1),
    (5, 672, 160, true, true, 2),
    (5, 960, 160, true, true, 1),
    (5, 960, 160, true, true, 1),
];

impl MobileNetV3 {
    pub const fn small() -> Self {
        MobileNetV3 {
            blocks: SMALL,
            hidden: 1024,
        }
    }

    pub const fn large() -> Self {
        MobileNetV3 {
            blocks: LARGE,
            hidden: 1280,
        }
    }
}

impl Body for MobileNetV3 {
    fn features(&self, torch: &mut Torch<'_, '_>, image: LayerOutput) -> Result<LayerOutput> {
        let stem = Conv::new(16, 3).stride(2);
        let mut x = torch.conv_norm_act("features.0", stem, Some("hard_silu"), image)?;
        for (block, number) in self.blocks.iter().zip(1..) {
            x = block_v3(torch, &format!("features.{number}"), *block, x)?;
        }
        let name = format!("features.{}", self.blocks.len() + 1);
        let last = Conv::new(6 * torch.channels(x), 1);
        torch.conv_norm_act(&name, last, Some("hard_silu"), x)
    }

    fn top(&self, torch: &mut Torch<'_, '_>, features: LayerOutput) -> Result<LayerOutput> {
        let x = torch.global_pool("avgpool", features)?;
        let x = torch.linear("classifier.0", self.hidden, x)?;
        let x = torch.act("classifier.1", "hard_silu", x)?;
        torch.dropout("classifier.2", x)
    }

    fn classifier(&self) -> &'static str {
        "classifier.3"
    }

    fn stages(&self) -> Vec<String> {
        let halves = self.blocks.iter().enumerate().filter(|(_, it)| it.5 == 2);
        // What is in front of a block of stride 2, and the end.
        let before = halves.map(|(at, _)| match at {
            0 => "features.0.2".to_string(),
            at => format!("features.{at}"),
        });
        let last = format!("features.{}.2", self.blocks.len() + 1);
        before.chain([last]).collect()
    }

    fn first(&self) -> &'static str {
        "features.0.0"
    }

    fn beside(&self) -> &'static [&'static str] {
        &["classifier."]
    }
}

fn block_v3(
    torch: &mut Torch<'_, '_>,
    name: &str,
    (kernel, widened, filters, weighs, hard, stride): BlockV3,
    x: LayerOutput,
) -> Result<LayerOutput> {
    let block = Inverted {
        widened,
        kernel,
        stride,
        filters,
        activation: if hard { "hard_silu" } else { "relu" },
        gate: weighs.then(|| Gate {
            names: FC,
            reduced: make_divisible((widened / 4) as f64, 8),
            activation: "relu",
            scale_activation: "hard_sigmoid",
        }),
    };
    let y = torch.inverted_residual(name, &block, x)?;
    let adds = stride == 1 && torch.channels(x) == filters;
    torch.block_end(name, adds.then_some(x), y)
}

//! timm's GhostNet: half of the features are made of the other half, each of one.

use regraft_layers::{LayerOutput, Result};

use super::mobile::{REDUCE_EXPAND, pooled_head};
use super::network::Body;
use super::writer::{Conv, Gate, Torch};
use crate::applications::blocks::make_divisible;

#[derive(Clone, Copy, Debug)]
pub(super) struct GhostNet {
    width: f64,
}

/// The window, what a block widens to, filters, whether it weighs channels, and the stride.
type Block = (usize, usize, usize, bool, usize);

const STAGES: [&[Block]; 9] = [
    &[(3, 16, 16, false, 1)],
    &[(3, 48, 24, false, 2)],
    &[(3, 72, 24, false, 1)],
    &[(5, 72, 40, true, 2)],
    &[(5, 120, 40, true, 1)],
    &[(3, 240, 80, false, 2)],
    &[
        (3, 200, 80, false, 1),
        (3, 184, 80, false, 1),
        (3, 184, 80, false, 1),
        (3, 480, 112, true, 1),
        (3, 672, 112, true, 1),
    ],
    &[(5, 672, 160, true, 2)],
    &[
        (5, 960, 160, false, 1),
        (5, 960, 160, true, 1),
        (5, 960, 160, false, 1),
        (5, 960, 160, true, 1),
    ],
];

impl GhostNet {
    pub const fn new(width: f64) -> Self {
        GhostNet { width }
    }

    fn filters(&self, filters: usize) -> usize {
        make_divisible(filters as f64 * self.width, 4)
    }

    fn block(
        &self,
        torch: &mut Torch<'_, '_>,
        name: &str,
        (kernel, widened, filters, weighs, stride): Block,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        let named = |part: &str| format!("{name}.{part}");
        let channels = torch.channels(x);
        let [widened, filters] = [widened, filters].map(|filters| self.filters(filters));
        let depthwise =
            |channels: usize| Conv::new(channels, kernel).stride(stride).groups(channels);
        let mut y = ghost(torch, &named("ghost1"), widened, true, x)?;
        if stride > 1 {
            y = torch.conv(&named("conv_dw"), depthwise(widened), y)?;
            y = torch.norm(&named("bn_dw"), y)?;
        }
        if weighs {
            let gate = Gate {
                names: REDUCE_EXPAND,
                reduced: make_divisible(0.25 * widened as f64, 4),
                activation: "relu",
                scale_activation: "hard_sigmoid",
            };
            y = torch.squeeze_excite(&named("se"), &gate, y)?;
        }
        y = ghost(torch, &named("ghost2"), filters, false, y)?;
        let mut around = x;
        if channels != filters || stride > 1 {
            around = torch.conv(&named("shortcut.0"), depthwise(channels), around)?;
            around = torch.norm(&named("shortcut.1"), around)?;
            around = torch.conv(&named("shortcut.2"), Conv::new(filters, 1), around)?;
            around = torch.norm(&named("shortcut.3"), around)?;
        }
        torch.block_end(name, Some(around), y)
    }
}

fn ghost(
    torch: &mut Torch<'_, '_>,
    name: &str,
    filters: usize,
    activates: bool,
    x: LayerOutput,
) -> Result<LayerOutput> {
    let half = filters / 2;
    let activation = activates.then_some("relu");
    let primary = format!("{name}.primary_conv");
    let one = torch.conv_norm_act(&primary, Conv::new(half, 1), activation, x)?;
    let cheap = format!("{name}.cheap_operation");
    let each = Conv::new(half, 3).groups(half);
    let two = torch.conv_norm_act(&cheap, each, activation, one)?;
    torch.concat(name, &[one, two])
}

impl Body for GhostNet {
    fn features(&self, torch: &mut Torch<'_, '_>, image: LayerOutput) -> Result<LayerOutput> {
        let stem = Conv::new(self.filters(16), 3).stride(2);
        let mut x = torch.conv("conv_stem", stem, image)?;
        x = torch.norm("bn1", x)?;
        x = torch.act("act1", "relu", x)?;
        for (stage, blocks) in STAGES.iter().enumerate() {
            for (position, block) in blocks.iter().enumerate() {
                x = self.block(torch, &format!("blocks.{stage}.{position}"), *block, x)?;
            }
        }
        x = torch.conv("blocks.9.0.conv", Conv::new(self.filters(960), 1), x)?;
        x = torch.norm("blocks.9.0.bn1", x)?;
        torch.act("blocks.9.0", "relu", x)
    }

    fn top(&self, torch: &mut Torch<'_, '_>, features: LayerOutput) -> Result<LayerOutput> {
        pooled_head(torch, 1280, "relu", features)
    }

    fn classifier(&self) -> &'static str {
        "classifier"
    }

    fn stages(&self) -> Vec<String> {
        let names = [
            "act1",
            "blocks.2.0",
            "blocks.4.0",
            "blocks.6.4",
            "blocks.9.0",
        ];
        names.map(str::to_string).to_vec()
    }

    fn first(&self) -> &'static str {
        "conv_stem"
    }

    fn beside(&self) -> &'static [&'static str] {
        &["conv_head.", "classifier."]
    }
}

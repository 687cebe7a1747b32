//! torchvision's EfficientNet and EfficientNetV2.

use regraft_layers::{LayerOutput, Result};

use super::network::Body;
use super::writer::{Conv, FC, Gate, Inverted, Torch};
use crate::applications::blocks::make_divisible;

#[derive(Clone, Copy, Debug)]
pub(super) struct EfficientNet {
    stacks: &'static [Stack],
    /// The stem's filters; the stacks' first see so many.
    stem: usize,
    width: f64,
    depth: f64,
    /// The last convolution's filters; `None` for four times as many as the last stack has.
    last: Option<usize>,
}

/// How much blocks widen, the window, the stride of the first, filters, how many, and whether they convolve all
/// channels at once instead of each alone.
type Stack = (usize, usize, usize, usize, usize, bool);

const V1: &[Stack] = &[
    (1, 3, 1, 16, 1, false),
    (6, 3, 2, 24, 2, false),
    (6, 5, 2, 40, 2, false),
    (6, 3, 2, 80, 3, false),
    (6, 5, 1, 112, 3, false),
    (6, 5, 2, 192, 4, false),
    (6, 3, 1, 320, 1, false),
];

const S: &[Stack] = &[
    (1, 3, 1, 24, 2, true),
    (4, 3, 2, 48, 4, true),
    (4, 3, 2, 64, 4, true),
    (4, 3, 2, 128, 6, false),
    (6, 3, 1, 160, 9, false),
    (6, 3, 2, 256, 15, false),
];

const M: &[Stack] = &[
    (1, 3, 1, 24, 3, true),
    (4, 3, 2, 48, 5, true),
    (4, 3, 2, 80, 5, true),
    (4, 3, 2, 160, 7, false),
    (6, 3, 1, 176, 14, false),
    (6, 3, 2, 304, 18, false),
    (6, 3, 1, 512, 5, false),
];

const L: &[Stack] = &[
    (1, 3, 1, 32, 4, true),
    (4, 3, 2, 64, 7, true),
    (4, 3, 2, 96, 7, true),
    (4, 3, 2, 192, 10, false),
    (6, 3, 1, 224, 19, false),
    (6, 3, 2, 384, 25, false),
    (6, 3, 1, 640, 7, false),
];

impl EfficientNet {
    pub const fn v1(width: f64, depth: f64) -> Self {
        EfficientNet {
            stacks: V1,
            stem: 32,
            width,
            depth,
            last: None,
        }
    }

    const fn v2(stacks: &'static [Stack], stem: usize) -> Self {
        EfficientNet {
            stacks,
            stem,
            width: 1.0,
            depth: 1.0,
            last: Some(1280),
        }
    }

    pub const fn s() -> Self {
        EfficientNet::v2(S, 24)
    }

    pub const fn m() -> Self {
        EfficientNet::v2(M, 24)
    }

    pub const fn l() -> Self {
        EfficientNet::v2(L, 32)
    }

    fn filters(&self, filters: usize) -> usize {
        make_divisible(filters as f64 * self.width, 8)
    }

    fn repeats(&self, repeats: usize) -> usize {
        (repeats as f64 * self.depth).ceil() as usize
    }
}

impl Body for EfficientNet {
    fn features(&self, torch: &mut Torch<'_, '_>, image: LayerOutput) -> Result<LayerOutput> {
        let stem = Conv::new(self.filters(self.stem), 3).stride(2);
        let mut x = torch.conv_norm_act("features.0", stem, Some("silu"), image)?;
        let count: usize = self.stacks.iter().map(|stack| self.repeats(stack.4)).sum();
        let mut number = 0;
        for (stack, at) in self.stacks.iter().zip(1..) {
            for position in 0..self.repeats(stack.4) {
                let mut stack = *stack;
                stack.3 = self.filters(stack.3);
                if position > 0 {
                    stack.2 = 1;
                }
                let share = number as f64 / count as f64;
                x = block(torch, &format!("features.{at}.{position}"), stack, share, x)?;
                number += 1;
            }
        }
        let last = self.last.unwrap_or(4 * torch.channels(x));
        let name = format!("features.{}", self.stacks.len() + 1);
        torch.conv_norm_act(&name, Conv::new(last, 1), Some("silu"), x)
    }

    fn top(&self, torch: &mut Torch<'_, '_>, features: LayerOutput) -> Result<LayerOutput> {
        let x = torch.global_pool("avgpool", features)?;
        torch.dropout("classifier.0", x)
    }

    fn classifier(&self) -> &'static str {
        "classifier.1"
    }

    fn stages(&self) -> Vec<String> {
        let end = |at: usize| {
            let blocks = self.repeats(self.stacks[at].4);
            format!("features.{}.{}", at + 1, blocks - 1)
        };
        let strided = (1..self.stacks.len()).filter(|&at| self.stacks[at].2 == 2);
        let last = format!("features.{}.2", self.stacks.len() + 1);
        strided.map(|at| end(at - 1)).chain([last]).collect()
    }

    fn first(&self) -> &'static str {
        "features.0.0"
    }

    fn beside(&self) -> &'static [&'static str] {
        &["classifier."]
    }
}

fn block(
    torch: &mut Torch<'_, '_>,
    name: &str,
    (expansion, kernel, stride, filters, _, fused): Stack,
    share: f64,
    x: LayerOutput,
) -> Result<LayerOutput> {
    let channels = torch.channels(x);
    let widened = make_divisible((channels * expansion) as f64, 8);
    let activation = "silu";
    let mut y = if fused {
        let part = |number: usize| format!("{name}.block.{number}");
        let outputs = if expansion > 1 { widened } else { filters };
        let whole = Conv::new(outputs, kernel).stride(stride);
        let y = torch.conv_norm_act(&part(0), whole, Some(activation), x)?;
        match expansion {
            1 => y,
            _ => torch.conv_norm_act(&part(1), Conv::new(filters, 1), None, y)?,
        }
    } else {
        let gate = Gate {
            names: FC,
            reduced: (channels / 4).max(1),
            activation,
            scale_activation: "sigmoid",
        };
        let block = Inverted {
            widened,
            kernel,
            stride,
            filters,
            activation,
            gate: Some(gate),
        };
        torch.inverted_residual(name, &block, x)?
    };
    let adds = stride == 1 && channels == filters;
    if adds {
        y = torch.drop_path(&format!("{name}.stochastic_depth"), share, y)?;
    }
    torch.block_end(name, adds.then_some(x), y)
}

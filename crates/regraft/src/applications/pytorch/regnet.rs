//! torchvision's RegNet: widths that grow along a line, rounded to few.

use regraft_layers::{LayerOutput, Result};

use super::network::Body;
use super::writer::{Conv, FC, Gate, Torch};
use crate::applications::blocks::make_divisible;

#[derive(Clone, Copy, Debug)]
pub(super) struct RegNet {
    depth: usize,
    /// The first width, how much wider each block would be, and the factor between stages.
    width: usize,
    slope: f64,
    factor: f64,
    group: usize,
    /// Whether blocks weigh channels: Y, not X.
    weighs: bool,
}

/// A stage: blocks, width, and the width of its groups.
type Stage = (usize, usize, usize);

impl RegNet {
    pub const fn x(depth: usize, width: usize, slope: f64, factor: f64, group: usize) -> Self {
        RegNet {
            depth,
            width,
            slope,
            factor,
            group,
            weighs: false,
        }
    }

    pub const fn y(depth: usize, width: usize, slope: f64, factor: f64, group: usize) -> Self {
        RegNet {
            weighs: true,
            ..RegNet::x(depth, width, slope, factor, group)
        }
    }

    fn stages(&self) -> Vec<Stage> {
        let first = self.width as f64;
        let mut stages: Vec<Stage> = Vec::new();
        for block in 0..self.depth {
            let width = first + self.slope * block as f64;
            let power = ((width / first).ln() / self.factor.ln()).round_ties_even();
            let width = (first * self.factor.powf(power) / 8.0).round_ties_even() as usize * 8;
            match stages.last_mut() {
                Some((blocks, same, _)) if *same == width => *blocks += 1,
                _ => stages.push((1, width, 0)),
            }
        }
        for (_, width, group) in &mut stages {
            *group = self.group.min(*width);
            *width = make_divisible(*width as f64, *group);
        }
        stages
    }
}

impl Body for RegNet {
    fn features(&self, torch: &mut Torch<'_, '_>, image: LayerOutput) -> Result<LayerOutput> {
        let stem = Conv::new(32, 3).stride(2);
        let mut x = torch.conv_norm_act("stem", stem, Some("relu"), image)?;
        for ((blocks, width, group), stage) in self.stages().into_iter().zip(1..) {
            for block in 0..blocks {
                let name = format!("trunk_output.block{stage}.block{stage}-{block}");
                let stride = if block == 0 { 2 } else { 1 };
                x = self.block(torch, &name, [width, group, stride], x)?;
            }
        }
        Ok(x)
    }

    fn classifier(&self) -> &'static str {
        "fc"
    }

    fn stages(&self) -> Vec<String> {
        let end = |((blocks, ..), stage): (Stage, usize)| {
            format!("trunk_output.block{stage}.block{stage}-{}", blocks - 1)
        };
        let ends = RegNet::stages(self).into_iter().zip(1..).map(end);
        ["stem.2".to_string()].into_iter().chain(ends).collect()
    }

    fn first(&self) -> &'static str {
        "stem.0"
    }

    fn beside(&self) -> &'static [&'static str] {
        &["fc."]
    }
}

impl RegNet {
    fn block(
        &self,
        torch: &mut Torch<'_, '_>,
        name: &str,
        [width, group, stride]: [usize; 3],
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        let channels = torch.channels(x);
        let named = |part: &str| format!("{name}.{part}");
        let mut around = x;
        if channels != width || stride > 1 {
            let projection = Conv::new(width, 1).stride(stride);
            around = torch.conv_norm_act(&named("proj"), projection, None, x)?;
        }
        let mut y = torch.conv_norm_act(&named("f.a"), Conv::new(width, 1), Some("relu"), x)?;
        let grouped = Conv::new(width, 3).stride(stride).groups(width / group);
        y = torch.conv_norm_act(&named("f.b"), grouped, Some("relu"), y)?;
        if self.weighs {
            let gate = Gate {
                names: FC,
                reduced: (0.25 * channels as f64).round_ties_even() as usize,
                activation: "relu",
                scale_activation: "sigmoid",
            };
            y = torch.squeeze_excite(&named("f.se"), &gate, y)?;
        }
        y = torch.conv_norm_act(&named("f.c"), Conv::new(width, 1), None, y)?;
        let sum = torch.add(&named("add"), around, y)?;
        torch.act(name, "relu", sum)
    }
}

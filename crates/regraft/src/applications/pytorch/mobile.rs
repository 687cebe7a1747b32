//! timm's EfficientNet, MobileNetV2 and MobileNetV3, which are made of the same few kinds of blocks.

use regraft_layers::layers::Flatten;
use regraft_layers::{LayerOutput, Result};

use super::network::Body;
use super::writer::{Conv, Gate, Torch};
use crate::applications::blocks::{make_divisible, nearest_multiple};

#[derive(Clone, Copy, Debug)]
pub(super) struct Mobile {
    /// Stages of runs of blocks.
    stages: &'static [&'static [Run]],
    stem: usize,
    width: f64,
    depth: f64,
    activation: &'static str,
    /// Whether the stem and the number of the first and the last blocks stay as they are at other widths.
    fixed: bool,
    /// Whether channels are rounded to the nearest multiple of 8, even if that takes a tenth away.
    nearest: bool,
    head: Head,
}

/// What follows the blocks.
#[derive(Clone, Copy, Debug)]
enum Head {
    /// A convolution of so many filters at the width 1, of fewer at smaller widths or not.
    Convolution { filters: usize, narrows: bool },
    /// The mean of each channel, and then a convolution of the one pixel: MobileNetV3's.
    AfterPooling { filters: usize },
}

/// Several blocks of which the first may have a stride.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    kind: Kind,
    repeats: usize,
    kernel: usize,
    stride: usize,
    expansion: f64,
    filters: usize,
    /// Whether channels are weighed.
    weighs: bool,
    /// Whether the activation is ReLU whatever the network's is.
    relu: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Each channel alone, then narrowed.
    Separable,
    /// Widened, each channel alone, narrowed.
    Inverted,
    /// Widened by a convolution of all channels, narrowed.
    Edge,
    /// One convolution.
    Plain,
    /// One convolution that adds to its input.
    Around,
}

const fn run(kind: Kind, repeats: usize, kernel: usize, stride: usize, filters: usize) -> Run {
    Run {
        kind,
        repeats,
        kernel,
        stride,
        expansion: 1.0,
        filters,
        weighs: false,
        relu: false,
    }
}

const fn separable(kernel: usize, stride: usize, filters: usize) -> Run {
    run(Kind::Separable, 1, kernel, stride, filters)
}

const fn inverted(
    repeats: usize,
    kernel: usize,
    stride: usize,
    expansion: f64,
    filters: usize,
) -> Run {
    Run {
        expansion,
        ..run(Kind::Inverted, repeats, kernel, stride, filters)
    }
}

const fn edge(repeats: usize, expansion: f64, filters: usize) -> Run {
    Run {
        expansion,
        ..run(Kind::Edge, repeats, 3, 2, filters)
    }
}

impl Run {
    const fn weighs(self) -> Run {
        Run {
            weighs: true,
            ..self
        }
    }

    const fn relu(self) -> Run {
        Run { relu: true, ..self }
    }
}

const V1: &[&[Run]] = &[
    &[separable(3, 1, 16).weighs()],
    &[inverted(2, 3, 2, 6.0, 24).weighs()],
    &[inverted(2, 5, 2, 6.0, 40).weighs()],
    &[inverted(3, 3, 2, 6.0, 80).weighs()],
    &[inverted(3, 5, 1, 6.0, 112).weighs()],
    &[inverted(4, 5, 2, 6.0, 192).weighs()],
    &[inverted(1, 3, 1, 6.0, 320).weighs()],
];

const LITE: &[&[Run]] = &[
    &[separable(3, 1, 16)],
    &[inverted(2, 3, 2, 6.0, 24)],
    &[inverted(2, 5, 2, 6.0, 40)],
    &[inverted(3, 3, 2, 6.0, 80)],
    &[inverted(3, 5, 1, 6.0, 112)],
    &[inverted(4, 5, 2, 6.0, 192)],
    &[inverted(1, 3, 1, 6.0, 320)],
];

const V2_BASE: &[&[Run]] = &[
    &[run(Kind::Around, 1, 3, 1, 16)],
    &[edge(2, 4.0, 32)],
    &[edge(2, 4.0, 48)],
    &[inverted(3, 3, 2, 4.0, 96).weighs()],
    &[inverted(5, 3, 1, 6.0, 112).weighs()],
    &[inverted(8, 3, 2, 6.0, 192).weighs()],
];

const V2_S: &[&[Run]] = &[
    &[run(Kind::Around, 2, 3, 1, 24)],
    &[edge(4, 4.0, 48)],
    &[edge(4, 4.0, 64)],
    &[inverted(6, 3, 2, 4.0, 128).weighs()],
    &[inverted(9, 3, 1, 6.0, 160).weighs()],
    &[inverted(15, 3, 2, 6.0, 256).weighs()],
];

const V2_M: &[&[Run]] = &[
    &[run(Kind::Around, 3, 3, 1, 24)],
    &[edge(5, 4.0, 48)],
    &[edge(5, 4.0, 80)],
    &[inverted(7, 3, 2, 4.0, 160).weighs()],
    &[inverted(14, 3, 1, 6.0, 176).weighs()],
    &[inverted(18, 3, 2, 6.0, 304).weighs()],
    &[inverted(5, 3, 1, 6.0, 512).weighs()],
];

const V2_L: &[&[Run]] = &[
    &[run(Kind::Around, 4, 3, 1, 32)],
    &[edge(7, 4.0, 64)],
    &[edge(7, 4.0, 96)],
    &[inverted(10, 3, 2, 4.0, 192).weighs()],
    &[inverted(19, 3, 1, 6.0, 224).weighs()],
    &[inverted(25, 3, 2, 6.0, 384).weighs()],
    &[inverted(7, 3, 1, 6.0, 640).weighs()],
];

const MOBILENET_V2: &[&[Run]] = &[
    &[separable(3, 1, 16)],
    &[inverted(2, 3, 2, 6.0, 24)],
    &[inverted(3, 3, 2, 6.0, 32)],
    &[inverted(4, 3, 2, 6.0, 64)],
    &[inverted(3, 3, 1, 6.0, 96)],
    &[inverted(3, 3, 2, 6.0, 160)],
    &[inverted(1, 3, 1, 6.0, 320)],
];

const V3_SMALL: &[&[Run]] = &[
    &[separable(3, 2, 16).weighs().relu()],
    &[
        inverted(1, 3, 2, 4.5, 24).relu(),
        inverted(1, 3, 1, 3.67, 24).relu(),
    ],
    &[
        inverted(1, 5, 2, 4.0, 40).weighs(),
        inverted(2, 5, 1, 6.0, 40).weighs(),
    ],
    &[inverted(2, 5, 1, 3.0, 48).weighs()],
    &[inverted(3, 5, 2, 6.0, 96).weighs()],
    &[run(Kind::Plain, 1, 1, 1, 576)],
];

const V3_LARGE: &[&[Run]] = &[
    &[separable(3, 1, 16).relu()],
    &[
        inverted(1, 3, 2, 4.0, 24).relu(),
        inverted(1, 3, 1, 3.0, 24).relu(),
    ],
    &[inverted(3, 5, 2, 3.0, 40).weighs().relu()],
    &[
        inverted(1, 3, 2, 6.0, 80),
        inverted(1, 3, 1, 2.5, 80),
        inverted(2, 3, 1, 2.3, 80),
    ],
    &[inverted(2, 3, 1, 6.0, 112).weighs()],
    &[inverted(3, 5, 2, 6.0, 160).weighs()],
    &[run(Kind::Plain, 1, 1, 1, 960)],
];

impl Mobile {
    const fn new(stages: &'static [&'static [Run]], stem: usize) -> Self {
        Mobile {
            stages,
            stem,
            width: 1.0,
            depth: 1.0,
            activation: "silu",
            fixed: false,
            nearest: false,
            head: Head::Convolution {
                filters: 1280,
                narrows: true,
            },
        }
    }

    pub const fn efficientnet(width: f64, depth: f64) -> Self {
        Mobile {
            width,
            depth,
            ..Mobile::new(V1, 32)
        }
    }

    pub const fn lite(width: f64, depth: f64) -> Self {
        Mobile {
            width,
            depth,
            activation: "relu6",
            fixed: true,
            head: Head::Convolution {
                filters: 1280,
                narrows: false,
            },
            ..Mobile::new(LITE, 32)
        }
    }

    pub const fn v2_base(width: f64, depth: f64) -> Self {
        Mobile {
            width,
            depth,
            nearest: true,
            ..Mobile::new(V2_BASE, 32)
        }
    }

    pub const fn v2_s() -> Self {
        Mobile::new(V2_S, 24)
    }

    pub const fn v2_m() -> Self {
        Mobile::new(V2_M, 24)
    }

    pub const fn v2_l() -> Self {
        Mobile::new(V2_L, 32)
    }

    pub const fn mobilenet_v2(width: f64) -> Self {
        Mobile {
            width,
            activation: "relu6",
            head: Head::Convolution {
                filters: 1280,
                narrows: width > 1.0,
            },
            ..Mobile::new(MOBILENET_V2, 32)
        }
    }

    const fn v3(stages: &'static [&'static [Run]], width: f64, filters: usize) -> Self {
        Mobile {
            width,
            activation: "hard_silu",
            fixed: width < 0.75,
            head: Head::AfterPooling { filters },
            ..Mobile::new(stages, 16)
        }
    }

    pub const fn v3_small(width: f64) -> Self {
        Mobile::v3(V3_SMALL, width, 1024)
    }

    pub const fn v3_large(width: f64) -> Self {
        Mobile::v3(V3_LARGE, width, 1280)
    }

    fn filters(&self, filters: usize) -> usize {
        let filters = filters as f64 * self.width;
        match self.nearest {
            true => nearest_multiple(filters, 8),
            false => make_divisible(filters, 8),
        }
    }

    fn repeats(&self, stage: usize, repeats: usize) -> usize {
        let at_an_end = stage == 0 || stage + 1 == self.stages.len();
        match self.fixed && at_an_end {
            true => repeats,
            false => (repeats as f64 * self.depth).ceil() as usize,
        }
    }

    fn is_v3(&self) -> bool {
        matches!(self.head, Head::AfterPooling { .. })
    }

    /// Normalization and activation.
    fn activate(
        &self,
        torch: &mut Torch<'_, '_>,
        norm: &str,
        run: &Run,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        let activation = if run.relu { "relu" } else { self.activation };
        let x = torch.norm(norm, x)?;
        torch.act(&format!("{norm}.act"), activation, x)
    }

    fn weigh(
        &self,
        torch: &mut Torch<'_, '_>,
        name: &str,
        run: &Run,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        if !run.weighs {
            return Ok(x);
        }
        let channels = torch.channels(x) as f64;
        let gate = match self.is_v3() {
            true => Gate {
                names: REDUCE_EXPAND,
                reduced: make_divisible(0.25 * channels, 8),
                activation: "relu",
                scale_activation: "hard_sigmoid",
            },
            false => Gate {
                names: REDUCE_EXPAND,
                reduced: (channels * 0.25 / run.expansion).round_ties_even() as usize,
                activation: self.activation,
                scale_activation: "sigmoid",
            },
        };
        torch.squeeze_excite(name, &gate, x)
    }

    fn block(
        &self,
        torch: &mut Torch<'_, '_>,
        name: &str,
        run: &Run,
        share: f64,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        let named = |part: &str| format!("{name}.{part}");
        let channels = torch.channels(x);
        let filters = self.filters(run.filters);
        let widened = make_divisible(channels as f64 * run.expansion, 8);
        let depthwise = |channels| {
            let conv = Conv::new(channels, run.kernel).stride(run.stride);
            conv.groups(channels)
        };
        let mut y = x;
        match run.kind {
            Kind::Separable => {
                y = torch.conv(&named("conv_dw"), depthwise(channels), y)?;
                y = self.activate(torch, &named("bn1"), run, y)?;
                y = self.weigh(torch, &named("se"), run, y)?;
                y = torch.conv(&named("conv_pw"), Conv::new(filters, 1), y)?;
                y = torch.norm(&named("bn2"), y)?;
            }
            Kind::Inverted => {
                y = torch.conv(&named("conv_pw"), Conv::new(widened, 1), y)?;
                y = self.activate(torch, &named("bn1"), run, y)?;
                y = torch.conv(&named("conv_dw"), depthwise(widened), y)?;
                y = self.activate(torch, &named("bn2"), run, y)?;
                y = self.weigh(torch, &named("se"), run, y)?;
                y = torch.conv(&named("conv_pwl"), Conv::new(filters, 1), y)?;
                y = torch.norm(&named("bn3"), y)?;
            }
            Kind::Edge => {
                let whole = Conv::new(widened, run.kernel).stride(run.stride);
                y = torch.conv(&named("conv_exp"), whole, y)?;
                y = self.activate(torch, &named("bn1"), run, y)?;
                y = torch.conv(&named("conv_pwl"), Conv::new(filters, 1), y)?;
                y = torch.norm(&named("bn2"), y)?;
            }
            Kind::Plain | Kind::Around => {
                let whole = Conv::new(filters, run.kernel).stride(run.stride);
                y = torch.conv(&named("conv"), whole, y)?;
                y = self.activate(torch, &named("bn1"), run, y)?;
            }
        }
        let adds = run.stride == 1 && channels == filters && run.kind != Kind::Plain;
        if adds {
            y = torch.drop_path(&named("drop_path"), share, y)?;
        }
        torch.block_end(name, adds.then_some(x), y)
    }
}

/// timm's names of what weighs channels.
pub(super) const REDUCE_EXPAND: [&str; 2] = ["conv_reduce", "conv_expand"];

/// The mean of each channel, a convolution of the one pixel, and the row that this is: the end of MobileNetV3 and
/// GhostNet.
pub(super) fn pooled_head(
    torch: &mut Torch<'_, '_>,
    filters: usize,
    activation: &str,
    x: LayerOutput,
) -> Result<LayerOutput> {
    let x = torch.pool_to_pixel("global_pool", x)?;
    let x = torch.conv("conv_head", Conv::new(filters, 1).bias(), x)?;
    let x = torch.act("act2", activation, x)?;
    let x = torch.blocks.apply("flatten", Flatten::new(), x)?;
    torch.dropout("dropout", x)
}

impl Body for Mobile {
    fn features(&self, torch: &mut Torch<'_, '_>, image: LayerOutput) -> Result<LayerOutput> {
        let plain = run(Kind::Plain, 1, 1, 1, 0);
        let stem = match self.fixed {
            true => self.stem,
            false => self.filters(self.stem),
        };
        let mut x = torch.conv("conv_stem", Conv::new(stem, 3).stride(2), image)?;
        x = self.activate(torch, "bn1", &plain, x)?;
        let blocks = |(stage, runs): (usize, &&[Run])| -> usize {
            let repeats = runs.iter().map(|run| self.repeats(stage, run.repeats));
            repeats.sum()
        };
        let count: usize = self.stages.iter().enumerate().map(blocks).sum();
        let mut number = 0;
        for (stage, runs) in self.stages.iter().enumerate() {
            let mut position = 0;
            for run in *runs {
                for repeat in 0..self.repeats(stage, run.repeats) {
                    let mut run = *run;
                    if repeat > 0 {
                        run.stride = 1;
                    }
                    let name = format!("blocks.{stage}.{position}");
                    let share = number as f64 / count as f64;
                    x = self.block(torch, &name, &run, share, x)?;
                    position += 1;
                    number += 1;
                }
            }
        }
        let Head::Convolution { filters, narrows } = self.head else {
            return Ok(x);
        };
        let filters = if narrows {
            self.filters(filters)
        } else {
            filters
        };
        x = torch.conv("conv_head", Conv::new(filters, 1), x)?;
        self.activate(torch, "bn2", &plain, x)
    }

    fn top(&self, torch: &mut Torch<'_, '_>, features: LayerOutput) -> Result<LayerOutput> {
        match self.head {
            Head::AfterPooling { filters } => {
                pooled_head(torch, filters, self.activation, features)
            }
            Head::Convolution { .. } => {
                let x = torch.global_pool("global_pool", features)?;
                torch.dropout("dropout", x)
            }
        }
    }

    fn classifier(&self) -> &'static str {
        "classifier"
    }

    fn stages(&self) -> Vec<String> {
        let end = |stage: usize| {
            let runs = self.stages[stage].iter();
            let blocks: usize = runs.map(|run| self.repeats(stage, run.repeats)).sum();
            format!("blocks.{stage}.{}", blocks - 1)
        };
        let strided = (0..self.stages.len()).filter(|&at| self.stages[at][0].stride == 2);
        let before = strided.map(|at| match at {
            0 => "bn1.act".to_string(),
            at => end(at - 1),
        });
        before.chain([end(self.stages.len() - 1)]).collect()
    }

    fn first(&self) -> &'static str {
        "conv_stem"
    }

    fn beside(&self) -> &'static [&'static str] {
        match self.is_v3() {
            true => &["conv_head.", "classifier."],
            false => &["classifier."],
        }
    }
}

//! torchvision's SqueezeNet: blocks that narrow, and then widen in two ways at once.

use regraft_layers::layers::{ActivationLayer, Conv2D};
use regraft_layers::{LayerOutput, Result};

use super::network::Body;
use super::writer::{Conv, Torch};
use crate::applications::Options;

#[derive(Clone, Copy, Debug)]
pub(super) struct SqueezeNet {
    /// Filters and window of the first convolution.
    stem: [usize; 2],
    /// The modules that halve.
    halving: [usize; 3],
}

/// How far each block narrows; each of its halves widens four times.
const SQUEEZED: [usize; 8] = [16, 16, 32, 32, 48, 48, 64, 64];

impl SqueezeNet {
    pub const fn v1_0() -> Self {
        SqueezeNet {
            stem: [96, 7],
            halving: [2, 6, 11],
        }
    }

    pub const fn v1_1() -> Self {
        SqueezeNet {
            stem: [64, 3],
            halving: [2, 5, 8],
        }
    }
}

fn fire(
    torch: &mut Torch<'_, '_>,
    name: &str,
    squeezed: usize,
    x: LayerOutput,
) -> Result<LayerOutput> {
    let mut conv = |part: &str, filters: usize, kernel: usize, x| {
        let name = format!("{name}.{part}");
        let x = torch.conv(&name, Conv::new(filters, kernel).bias(), x)?;
        torch.act(&format!("{name}_activation"), "relu", x)
    };
    let x = conv("squeeze", squeezed, 1, x)?;
    let one = conv("expand1x1", 4 * squeezed, 1, x)?;
    let three = conv("expand3x3", 4 * squeezed, 3, x)?;
    torch.concat(name, &[one, three])
}

impl Body for SqueezeNet {
    fn features(&self, torch: &mut Torch<'_, '_>, image: LayerOutput) -> Result<LayerOutput> {
        let [filters, kernel] = self.stem;
        let stem = Conv::new(filters, kernel).stride(2).padding(0).bias();
        let mut x = torch.conv("features.0", stem, image)?;
        x = torch.act("features.1", "relu", x)?;
        let mut squeezed = SQUEEZED.into_iter();
        for number in 2..13 {
            let name = format!("features.{number}");
            x = match self.halving.contains(&number) {
                true => torch.max_pool_ceil(&name, x)?,
                false => fire(torch, &name, squeezed.next().expect("eight blocks"), x)?,
            };
        }
        Ok(x)
    }

    fn top(&self, torch: &mut Torch<'_, '_>, features: LayerOutput) -> Result<LayerOutput> {
        torch.dropout("classifier.0", features)
    }

    fn classifier(&self) -> &'static str {
        "classifier.1"
    }

    fn classify(
        &self,
        torch: &mut Torch<'_, '_>,
        features: LayerOutput,
        options: &Options,
    ) -> Result<LayerOutput> {
        let x = torch
            .blocks
            .apply("classifier.1", Conv2D::new(options.classes, 1), features)?;
        let x = torch.act("classifier.2", "relu", x)?;
        let x = torch.global_pool("classifier.3", x)?;
        let activation = ActivationLayer::new(options.classifier_activation.clone());
        torch.blocks.apply("predictions", activation, x)
    }

    fn stages(&self) -> Vec<String> {
        let before = self
            .halving
            .map(|number| format!("features.{}", number - 1));
        before
            .into_iter()
            .chain(["features.12".to_string()])
            .collect()
    }

    fn first(&self) -> &'static str {
        "features.0"
    }

    fn beside(&self) -> &'static [&'static str] {
        &["classifier."]
    }
}

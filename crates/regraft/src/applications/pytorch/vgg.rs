//! VGG and AlexNet: convolutions one after the other, and large linear layers that see the image as a row.

use regraft_layers::layers::{AdaptiveAveragePooling2D, Flatten};
use regraft_layers::{LayerOutput, Result};

use super::network::Body;
use super::writer::{Conv, Torch};

#[derive(Clone, Copy, Debug)]
pub(super) struct Vgg {
    /// How many convolutions stand before each halving.
    convolutions: [usize; 5],
    normalizes: bool,
}

impl Vgg {
    pub const fn new(convolutions: [usize; 5]) -> Self {
        Vgg {
            convolutions,
            normalizes: false,
        }
    }

    pub const fn bn(self) -> Self {
        Vgg {
            normalizes: true,
            ..self
        }
    }

    /// How many modules a convolution is.
    fn step(&self) -> usize {
        2 + usize::from(self.normalizes)
    }
}

impl Body for Vgg {
    fn features(&self, torch: &mut Torch<'_, '_>, image: LayerOutput) -> Result<LayerOutput> {
        let (mut x, mut number) = (image, 0);
        let mut next = || {
            number += 1;
            format!("features.{}", number - 1)
        };
        for (count, filters) in self.convolutions.into_iter().zip([64, 128, 256, 512, 512]) {
            for _ in 0..count {
                x = torch.conv(&next(), Conv::new(filters, 3).bias(), x)?;
                if self.normalizes {
                    x = torch.norm(&next(), x)?;
                }
                x = torch.act(&next(), "relu", x)?;
            }
            x = torch.max_pool(&next(), [2, 2, 0], x)?;
        }
        Ok(x)
    }

    fn top(&self, torch: &mut Torch<'_, '_>, features: LayerOutput) -> Result<LayerOutput> {
        let x = row(torch, 7, features)?;
        let x = torch.linear("classifier.0", 4096, x)?;
        let x = torch.act("classifier.1", "relu", x)?;
        let x = torch.dropout("classifier.2", x)?;
        let x = torch.linear("classifier.3", 4096, x)?;
        let x = torch.act("classifier.4", "relu", x)?;
        torch.dropout("classifier.5", x)
    }

    fn classifier(&self) -> &'static str {
        "classifier.6"
    }

    fn stages(&self) -> Vec<String> {
        let mut number = 0;
        let mut end = |convolutions: usize| {
            number += convolutions * self.step() + 1;
            // What is in front of the halving.
            format!("features.{}", number - 2)
        };
        let mut ends: Vec<String> = self.convolutions.iter().map(|&it| end(it)).collect();
        ends.push(format!("features.{}", number - 1));
        ends
    }

    fn first(&self) -> &'static str {
        "features.0"
    }

    fn beside(&self) -> &'static [&'static str] {
        &["classifier."]
    }

    fn flattens(&self) -> bool {
        true
    }
}

/// The image as a row, of so many rows and columns whatever its size was.
fn row(torch: &mut Torch<'_, '_>, size: usize, x: LayerOutput) -> Result<LayerOutput> {
    let pool = AdaptiveAveragePooling2D::new(size);
    let x = torch.blocks.apply("avgpool", pool, x)?;
    torch.blocks.apply("flatten", Flatten::new(), x)
}

#[derive(Clone, Copy, Debug)]
pub(super) struct AlexNet;

impl Body for AlexNet {
    fn features(&self, torch: &mut Torch<'_, '_>, image: LayerOutput) -> Result<LayerOutput> {
        let stem = Conv::new(64, 11).stride(4).padding(2).bias();
        let mut x = torch.conv("features.0", stem, image)?;
        x = torch.act("features.1", "relu", x)?;
        x = torch.max_pool("features.2", [3, 2, 0], x)?;
        x = torch.conv("features.3", Conv::new(192, 5).bias(), x)?;
        x = torch.act("features.4", "relu", x)?;
        x = torch.max_pool("features.5", [3, 2, 0], x)?;
        for (filters, number) in [(384, 6), (256, 8), (256, 10)] {
            let conv = Conv::new(filters, 3).bias();
            x = torch.conv(&format!("features.{number}"), conv, x)?;
            x = torch.act(&format!("features.{}", number + 1), "relu", x)?;
        }
        torch.max_pool("features.12", [3, 2, 0], x)
    }

    fn top(&self, torch: &mut Torch<'_, '_>, features: LayerOutput) -> Result<LayerOutput> {
        let x = row(torch, 6, features)?;
        let x = torch.dropout("classifier.0", x)?;
        let x = torch.linear("classifier.1", 4096, x)?;
        let x = torch.act("classifier.2", "relu", x)?;
        let x = torch.dropout("classifier.3", x)?;
        let x = torch.linear("classifier.4", 4096, x)?;
        torch.act("classifier.5", "relu", x)
    }

    fn classifier(&self) -> &'static str {
        "classifier.6"
    }

    fn stages(&self) -> Vec<String> {
        ["features.1", "features.4", "features.11"]
            .map(str::to_string)
            .to_vec()
    }

    fn first(&self) -> &'static str {
        "features.0"
    }

    fn beside(&self) -> &'static [&'static str] {
        &["classifier."]
    }

    fn flattens(&self) -> bool {
        true
    }

    fn minimum_size(&self) -> usize {
        63
    }
}

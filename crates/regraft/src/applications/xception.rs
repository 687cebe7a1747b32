//! Xception: depthwise separable convolutions throughout, with residual connections.

use regraft_layers::layers::{Add, BatchNormalization, Conv2D, MaxPooling2D, SeparableConv2D};
use regraft_layers::{ActivationLayer, LayerOutput, Result};

use super::weights::file::WeightsFile;
use super::weights::keras_files::keras_file;
use super::{Application, Architecture, Blocks, Options, Preprocessing};

/// Xception, 22.9 million parameters.
///
/// Source: Chollet, <https://arxiv.org/abs/1610.02357>;
/// Keras: <https://keras.io/api/applications/xception/>.
#[derive(Clone, Copy, Debug, Default)]
pub struct Xception;

/// [`Xception`].
pub fn xception() -> Application<Xception> {
    Application::new(Xception)
}

impl Architecture for Xception {
    fn name(&self, _: &Options) -> String {
        "xception".to_string()
    }

    fn default_size(&self) -> usize {
        299
    }

    fn minimum_size(&self) -> usize {
        71
    }

    fn preprocessing(&self, _: &Options) -> Preprocessing {
        Preprocessing::Tf
    }

    fn imagenet_weights(&self, options: &Options) -> Option<WeightsFile> {
        keras_file("xception", "", options)
    }

    fn pooling_names(&self) -> Option<[&'static str; 2]> {
        None
    }

    fn features(
        &self,
        blocks: &mut Blocks<'_>,
        image: LayerOutput,
        _: &Options,
    ) -> Result<LayerOutput> {
        let x = stem_convolution(blocks, "block1_conv1", Conv2D::new(32, 3).strides(2), image)?;
        let mut x = stem_convolution(blocks, "block1_conv2", Conv2D::new(64, 3), x)?;
        for (number, filters) in [(2, [128, 128]), (3, [256, 256]), (4, [728, 728])] {
            x = halving_block(blocks, number, filters, x)?;
        }
        for number in 5..=12 {
            let mut y = x;
            for convolution in 1..=3 {
                y = relu(blocks, number, convolution, y)?;
                y = separable(blocks, number, convolution, 728, y)?;
            }
            x = blocks.merge(None, Add, &[y, x])?;
        }
        x = halving_block(blocks, 13, [728, 1024], x)?;
        for (convolution, filters) in [(1, 1536), (2, 2048)] {
            x = separable(blocks, 14, convolution, filters, x)?;
            x = relu(blocks, 14, convolution, x)?;
        }
        Ok(x)
    }
}

fn stem_convolution(
    blocks: &mut Blocks<'_>,
    name: &str,
    layer: Conv2D,
    x: LayerOutput,
) -> Result<LayerOutput> {
    let x = blocks.apply(name, layer.use_bias(false), x)?;
    let x = blocks.apply(format!("{name}_bn"), BatchNormalization::new(), x)?;
    let relu = ActivationLayer::new("relu");
    blocks.apply(format!("{name}_act"), relu, x)
}

/// Two separable convolutions and a pooling that halves the image, beside a 1×1 convolution that
/// does so too.
fn halving_block(
    blocks: &mut Blocks<'_>,
    number: usize,
    filters: [usize; 2],
    x: LayerOutput,
) -> Result<LayerOutput> {
    let shortcut = Conv2D::new(filters[1], 1).strides(2).padding("same");
    let shortcut = blocks.apply(None, shortcut.use_bias(false), x)?;
    let shortcut = blocks.apply(None, BatchNormalization::new(), shortcut)?;
    let mut y = x;
    for (convolution, filters) in [(1, filters[0]), (2, filters[1])] {
        // The convolution in front of the first block has its own ReLU.
        if (number, convolution) != (2, 1) {
            y = relu(blocks, number, convolution, y)?;
        }
        y = separable(blocks, number, convolution, filters, y)?;
    }
    let pooling = MaxPooling2D::new(3).strides(2).padding("same");
    let y = blocks.apply(format!("block{number}_pool"), pooling, y)?;
    blocks.merge(None, Add, &[y, shortcut])
}

fn relu(
    blocks: &mut Blocks<'_>,
    block: usize,
    convolution: usize,
    x: LayerOutput,
) -> Result<LayerOutput> {
    let name = format!("block{block}_sepconv{convolution}_act");
    blocks.apply(name, ActivationLayer::new("relu"), x)
}

/// A 3×3 separable convolution with batch norm.
fn separable(
    blocks: &mut Blocks<'_>,
    block: usize,
    convolution: usize,
    filters: usize,
    x: LayerOutput,
) -> Result<LayerOutput> {
    let name = format!("block{block}_sepconv{convolution}");
    let layer = SeparableConv2D::new(filters, 3).padding("same");
    let x = blocks.apply(name.as_str(), layer.use_bias(false), x)?;
    blocks.apply(format!("{name}_bn"), BatchNormalization::new(), x)
}

//! DenseNet: within a block, every layer sees the outputs of all layers before it.

use regraft_layers::layers::{
    AveragePooling2D, BatchNormalization, Concatenate, Conv2D, MaxPooling2D, ZeroPadding2D,
};
use regraft_layers::{ActivationLayer, LayerOutput, Result};

use super::weights::file::WeightsFile;
use super::weights::keras_files::keras_file;
use super::{Application, Architecture, Blocks, Options, Preprocessing};

/// Channels that each layer of a block adds.
const GROWTH: usize = 32;

/// Channels of the 1×1 convolution in front of each 3×3 one.
const BOTTLENECK: usize = 4 * GROWTH;

/// DenseNet, whose numbers of layers in the four blocks tell the members of the family apart.
///
/// A layer is batch norm, ReLU, 1×1 convolution, batch norm, ReLU, 3×3 convolution to 32 channels,
/// which are appended to its input. Between blocks, a 1×1 convolution halves the channels and an
/// average pooling the image.
///
/// Source: Huang et al., <https://arxiv.org/abs/1608.06993>;
/// Keras: <https://keras.io/api/applications/densenet/>.
#[derive(Clone, Copy, Debug)]
pub struct DenseNet {
    name: &'static str,
    blocks: [usize; 4],
}

/// DenseNet with 121 layers, 8.1 million parameters.
pub fn densenet121() -> Application<DenseNet> {
    application("densenet121", [6, 12, 24, 16])
}

/// DenseNet with 169 layers, 14.3 million parameters.
pub fn densenet169() -> Application<DenseNet> {
    application("densenet169", [6, 12, 32, 32])
}

/// DenseNet with 201 layers, 20.2 million parameters.
pub fn densenet201() -> Application<DenseNet> {
    application("densenet201", [6, 12, 48, 32])
}

fn application(name: &'static str, blocks: [usize; 4]) -> Application<DenseNet> {
    Application::new(DenseNet { name, blocks })
}

impl Architecture for DenseNet {
    fn name(&self, _: &Options) -> String {
        self.name.to_string()
    }

    fn default_size(&self) -> usize {
        224
    }

    fn minimum_size(&self) -> usize {
        32
    }

    fn preprocessing(&self, _: &Options) -> Preprocessing {
        Preprocessing::Torch
    }

    fn imagenet_weights(&self, options: &Options) -> Option<WeightsFile> {
        keras_file(self.name, "", options)
    }

    fn features(
        &self,
        blocks: &mut Blocks<'_>,
        image: LayerOutput,
        _: &Options,
    ) -> Result<LayerOutput> {
        let x = blocks.apply(None, ZeroPadding2D::new(3), image)?;
        let stem = Conv2D::new(64, 7).strides(2).use_bias(false);
        let x = blocks.apply("conv1_conv", stem, x)?;
        let x = norm_relu(blocks, "conv1", x)?;
        let x = blocks.apply(None, ZeroPadding2D::new(1), x)?;
        let mut x = blocks.apply("pool1", MaxPooling2D::new(3).strides(2), x)?;
        let mut channels = 64;
        for (position, &layers) in self.blocks.iter().enumerate() {
            let stage = position + 2;
            if position > 0 {
                channels /= 2;
                x = transition(blocks, &format!("pool{}", stage - 1), channels, x)?;
            }
            for layer in 1..=layers {
                x = dense_layer(blocks, &format!("conv{stage}_block{layer}"), x)?;
            }
            channels += GROWTH * layers;
        }
        let x = blocks.apply("bn", norm(), x)?;
        blocks.apply("relu", ActivationLayer::new("relu"), x)
    }
}

fn norm() -> BatchNormalization {
    BatchNormalization::new().axis(3).epsilon(1.001e-5)
}

fn norm_relu(blocks: &mut Blocks<'_>, prefix: &str, x: LayerOutput) -> Result<LayerOutput> {
    let x = blocks.apply(format!("{prefix}_bn"), norm(), x)?;
    let relu = ActivationLayer::new("relu");
    blocks.apply(format!("{prefix}_relu"), relu, x)
}

fn transition(
    blocks: &mut Blocks<'_>,
    prefix: &str,
    channels: usize,
    x: LayerOutput,
) -> Result<LayerOutput> {
    let x = norm_relu(blocks, prefix, x)?;
    let convolution = Conv2D::new(channels, 1).use_bias(false);
    let x = blocks.apply(format!("{prefix}_conv"), convolution, x)?;
    let pooling = AveragePooling2D::new(2).strides(2);
    blocks.apply(format!("{prefix}_pool"), pooling, x)
}

fn dense_layer(blocks: &mut Blocks<'_>, prefix: &str, x: LayerOutput) -> Result<LayerOutput> {
    let y = norm_relu(blocks, &format!("{prefix}_0"), x)?;
    let narrow = Conv2D::new(BOTTLENECK, 1).use_bias(false);
    let y = blocks.apply(format!("{prefix}_1_conv"), narrow, y)?;
    let y = norm_relu(blocks, &format!("{prefix}_1"), y)?;
    let wide = Conv2D::new(GROWTH, 3).padding("same").use_bias(false);
    let y = blocks.apply(format!("{prefix}_2_conv"), wide, y)?;
    let concatenation = Concatenate::new().axis(3);
    blocks.merge(format!("{prefix}_concat"), concatenation, &[x, y])
}

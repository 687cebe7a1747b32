//! ResNet: blocks of three convolutions that add to what went into them.

use regraft_layers::layers::{
    ActivationLayer, Add, BatchNormalization, Conv2D, MaxPooling2D, ZeroPadding2D,
};
use regraft_layers::{LayerOutput, Result};

use super::weights::file::WeightsFile;
use super::weights::keras_files::keras_file;
use super::{Application, Architecture, Blocks, Options, Preprocessing};

/// A ResNet of the first version, where each block ends with its activation; [`resnet50`],
/// [`resnet101`] and [`resnet152`] build them.
#[derive(Clone, Debug)]
pub struct ResNet {
    name: &'static str,
    /// How many blocks each of the four stacks has.
    blocks: [usize; 4],
}

/// ResNet50: 25.6 million parameters, images of 224×224, at least 32×32 without top.
///
/// He et al. 2015, <https://arxiv.org/abs/1512.03385>.
/// Keras: <https://keras.io/api/applications/resnet/>.
pub fn resnet50() -> Application<ResNet> {
    let (name, blocks) = ("resnet50", [3, 4, 6, 3]);
    Application::new(ResNet { name, blocks })
}

/// ResNet101: as [`resnet50`] with 101 layers, 44.7 million parameters.
pub fn resnet101() -> Application<ResNet> {
    let (name, blocks) = ("resnet101", [3, 4, 23, 3]);
    Application::new(ResNet { name, blocks })
}

/// ResNet152: as [`resnet50`] with 152 layers, 60.4 million parameters.
pub fn resnet152() -> Application<ResNet> {
    let (name, blocks) = ("resnet152", [3, 8, 36, 3]);
    Application::new(ResNet { name, blocks })
}

/// A ResNet of the second version, where each block begins with its activation; [`resnet50_v2`],
/// [`resnet101_v2`] and [`resnet152_v2`] build them.
#[derive(Clone, Debug)]
pub struct ResNetV2 {
    name: &'static str,
    /// How many blocks each of the four stacks has.
    blocks: [usize; 4],
}

/// ResNet50V2: 25.6 million parameters, images of 224×224, at least 32×32 without top.
///
/// He et al. 2016, <https://arxiv.org/abs/1603.05027>.
/// Keras: <https://keras.io/api/applications/resnet/>.
pub fn resnet50_v2() -> Application<ResNetV2> {
    let (name, blocks) = ("resnet50v2", [3, 4, 6, 3]);
    Application::new(ResNetV2 { name, blocks })
}

/// ResNet101V2: as [`resnet50_v2`] with 101 layers, 44.7 million parameters.
pub fn resnet101_v2() -> Application<ResNetV2> {
    let (name, blocks) = ("resnet101v2", [3, 4, 23, 3]);
    Application::new(ResNetV2 { name, blocks })
}

/// ResNet152V2: as [`resnet50_v2`] with 152 layers, 60.4 million parameters.
pub fn resnet152_v2() -> Application<ResNetV2> {
    let (name, blocks) = ("resnet152v2", [3, 8, 36, 3]);
    Application::new(ResNetV2 { name, blocks })
}

/// The filters of the four stacks' inner convolutions; the last of a block has four times as many.
const FILTERS: [usize; 4] = [64, 128, 256, 512];

fn batch_normalization() -> BatchNormalization {
    BatchNormalization::new().axis(3).epsilon(1.001e-5)
}

/// Batch normalization and ReLU.
fn activate(blocks: &mut Blocks<'_>, name: &str, x: LayerOutput) -> Result<LayerOutput> {
    let x = blocks.apply(format!("{name}_bn"), batch_normalization(), x)?;
    blocks.apply(format!("{name}_relu"), ActivationLayer::new("relu"), x)
}

/// The first convolution, 7×7 with stride 2.
fn stem(blocks: &mut Blocks<'_>, image: LayerOutput) -> Result<LayerOutput> {
    let x = blocks.apply("conv1_pad", ZeroPadding2D::new(3), image)?;
    blocks.apply("conv1_conv", Conv2D::new(64, 7).strides(2), x)
}

/// The pooling before the stacks.
fn stem_pooling(blocks: &mut Blocks<'_>, x: LayerOutput) -> Result<LayerOutput> {
    let x = blocks.apply("pool1_pad", ZeroPadding2D::new(1), x)?;
    blocks.apply("pool1_pool", MaxPooling2D::new(3).strides(2), x)
}

impl Architecture for ResNet {
    fn name(&self, _options: &Options) -> String {
        self.name.to_string()
    }

    fn default_size(&self) -> usize {
        224
    }

    fn minimum_size(&self) -> usize {
        32
    }

    fn preprocessing(&self, _options: &Options) -> Preprocessing {
        Preprocessing::Caffe
    }

    fn imagenet_weights(&self, options: &Options) -> Option<WeightsFile> {
        keras_file(self.name, "", options)
    }

    fn features(
        &self,
        blocks: &mut Blocks<'_>,
        image: LayerOutput,
        _options: &Options,
    ) -> Result<LayerOutput> {
        let x = stem(blocks, image)?;
        let x = activate(blocks, "conv1", x)?;
        let mut x = stem_pooling(blocks, x)?;
        for (stack, (filters, count)) in FILTERS.into_iter().zip(self.blocks).enumerate() {
            for block in 1..=count {
                let name = format!("conv{}_block{block}", stack + 2);
                let stride = if block == 1 && stack > 0 { 2 } else { 1 };
                x = block_v1(blocks, &name, filters, stride, block == 1, x)?;
            }
        }
        Ok(x)
    }
}

fn block_v1(
    blocks: &mut Blocks<'_>,
    name: &str,
    filters: usize,
    stride: usize,
    projects: bool,
    x: LayerOutput,
) -> Result<LayerOutput> {
    let shortcut = match projects {
        true => {
            let projection = Conv2D::new(4 * filters, 1).strides(stride);
            let shortcut = blocks.apply(format!("{name}_0_conv"), projection, x)?;
            blocks.apply(format!("{name}_0_bn"), batch_normalization(), shortcut)?
        }
        false => x,
    };
    let reduction = Conv2D::new(filters, 1).strides(stride);
    let y = blocks.apply(format!("{name}_1_conv"), reduction, x)?;
    let y = activate(blocks, &format!("{name}_1"), y)?;
    let convolution = Conv2D::new(filters, 3).padding("same");
    let y = blocks.apply(format!("{name}_2_conv"), convolution, y)?;
    let y = activate(blocks, &format!("{name}_2"), y)?;
    let y = blocks.apply(format!("{name}_3_conv"), Conv2D::new(4 * filters, 1), y)?;
    let y = blocks.apply(format!("{name}_3_bn"), batch_normalization(), y)?;
    let sum = blocks.merge(format!("{name}_add"), Add, &[shortcut, y])?;
    blocks.apply(format!("{name}_out"), ActivationLayer::new("relu"), sum)
}

impl Architecture for ResNetV2 {
    fn name(&self, _options: &Options) -> String {
        self.name.to_string()
    }

    fn default_size(&self) -> usize {
        224
    }

    fn minimum_size(&self) -> usize {
        32
    }

    fn preprocessing(&self, _options: &Options) -> Preprocessing {
        Preprocessing::Tf
    }

    fn imagenet_weights(&self, options: &Options) -> Option<WeightsFile> {
        keras_file(self.name, "", options)
    }

    fn features(
        &self,
        blocks: &mut Blocks<'_>,
        image: LayerOutput,
        _options: &Options,
    ) -> Result<LayerOutput> {
        let x = stem(blocks, image)?;
        let mut x = stem_pooling(blocks, x)?;
        for (stack, (filters, count)) in FILTERS.into_iter().zip(self.blocks).enumerate() {
            for block in 1..=count {
                let name = format!("conv{}_block{block}", stack + 2);
                // Here the last block of a stack has the stride, but for the last stack.
                let stride = if block == count && stack < 3 { 2 } else { 1 };
                x = block_v2(blocks, &name, filters, stride, block == 1, x)?;
            }
        }
        activate(blocks, "post", x)
    }
}

fn block_v2(
    blocks: &mut Blocks<'_>,
    name: &str,
    filters: usize,
    stride: usize,
    projects: bool,
    x: LayerOutput,
) -> Result<LayerOutput> {
    let before = activate(blocks, &format!("{name}_preact"), x)?;
    let shortcut = match projects {
        true => {
            let projection = Conv2D::new(4 * filters, 1).strides(stride);
            blocks.apply(format!("{name}_0_conv"), projection, before)?
        }
        false if stride > 1 => blocks.apply(None, MaxPooling2D::new(1).strides(stride), x)?,
        false => x,
    };
    let reduction = Conv2D::new(filters, 1).use_bias(false);
    let y = blocks.apply(format!("{name}_1_conv"), reduction, before)?;
    let y = activate(blocks, &format!("{name}_1"), y)?;
    let y = blocks.apply(format!("{name}_2_pad"), ZeroPadding2D::new(1), y)?;
    let convolution = Conv2D::new(filters, 3).strides(stride).use_bias(false);
    let y = blocks.apply(format!("{name}_2_conv"), convolution, y)?;
    let y = activate(blocks, &format!("{name}_2"), y)?;
    let y = blocks.apply(format!("{name}_3_conv"), Conv2D::new(4 * filters, 1), y)?;
    blocks.merge(format!("{name}_out"), Add, &[shortcut, y])
}

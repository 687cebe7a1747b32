//! ConvNeXt: a ResNet with a transformer's proportions.

use regraft_layers::layers::{
    Add, Conv2D, Dense, GlobalAveragePooling2D, LayerNormalization, LayerScale, Normalization,
};
use regraft_layers::{ActivationLayer, LayerExt, LayerOutput, Result, layers};

use super::application::BuiltInPreprocessing;
use super::weights::file::WeightsFile;
use super::weights::keras_files::keras_file;
use super::{Application, Architecture, Blocks, Options, Preprocessing};

/// ImageNet's mean colour of pixels from 0 to 255, and the variances.
const MEAN: [f32; 3] = [123.675, 116.28, 103.53];
const VARIANCE: [f32; 3] = [3409.976, 3262.6944, 3291.8906];

/// ConvNeXt, whose numbers of blocks and channels in the four stages tell the members of the family
/// apart.
///
/// A block is a 7×7 depthwise convolution, layer normalization, and two dense layers with GELU
/// between them, the first of which widens fourfold; a learnt factor per channel scales what is
/// added. The network begins with the scaling of the pixels, unless they have other than three
/// channels or [`include_preprocessing`](Application::include_preprocessing) is off.
///
/// Source: Liu et al., <https://arxiv.org/abs/2201.03545>;
/// Keras: <https://keras.io/api/applications/convnext/>.
#[derive(Clone, Copy, Debug)]
pub struct ConvNeXt {
    name: &'static str,
    blocks: [usize; 4],
    channels: [usize; 4],
}

/// The smallest ConvNeXt, 28.6 million parameters.
pub fn convnext_tiny() -> Application<ConvNeXt> {
    application("convnext_tiny", [3, 3, 9, 3], 96)
}

/// The small ConvNeXt, 50.2 million parameters.
pub fn convnext_small() -> Application<ConvNeXt> {
    application("convnext_small", [3, 3, 27, 3], 96)
}

/// The middle ConvNeXt, 88.6 million parameters.
pub fn convnext_base() -> Application<ConvNeXt> {
    application("convnext_base", [3, 3, 27, 3], 128)
}

/// The large ConvNeXt, 197.8 million parameters.
pub fn convnext_large() -> Application<ConvNeXt> {
    application("convnext_large", [3, 3, 27, 3], 192)
}

/// The largest ConvNeXt, 350.2 million parameters.
pub fn convnext_xlarge() -> Application<ConvNeXt> {
    application("convnext_xlarge", [3, 3, 27, 3], 256)
}

fn application(name: &'static str, blocks: [usize; 4], channels: usize) -> Application<ConvNeXt> {
    Application::new(ConvNeXt {
        name,
        blocks,
        channels: [1, 2, 4, 8].map(|factor| factor * channels),
    })
}

impl BuiltInPreprocessing for ConvNeXt {}

impl Architecture for ConvNeXt {
    fn name(&self, _: &Options) -> String {
        self.name.to_string()
    }

    fn default_size(&self) -> usize {
        224
    }

    fn minimum_size(&self) -> usize {
        32
    }

    fn preprocessing(&self, options: &Options) -> Preprocessing {
        match options.include_preprocessing || options.input_shape[2] != 3 {
            true => Preprocessing::BuiltIn,
            false => Preprocessing::Torch,
        }
    }

    fn imagenet_weights(&self, options: &Options) -> Option<WeightsFile> {
        keras_file(self.name, "", options)
    }

    fn pooling_names(&self) -> Option<[&'static str; 2]> {
        None
    }

    fn features(
        &self,
        blocks: &mut Blocks<'_>,
        image: LayerOutput,
        options: &Options,
    ) -> Result<LayerOutput> {
        let name = self.name;
        let mut x = image;
        if options.include_preprocessing && options.input_shape[2] == 3 {
            let scaling = Normalization::with(MEAN, VARIANCE);
            x = blocks.apply(format!("{name}_prestem_normalization"), scaling, x)?;
        }
        for (stage, (&depth, &channels)) in self.blocks.iter().zip(&self.channels).enumerate() {
            if stage == 0 {
                let patches = Conv2D::new(channels, 4).strides(4);
                let stem = layers![
                    patches.named(format!("{name}_stem_conv")),
                    norm().named(format!("{name}_stem_layernorm")),
                ];
                x = blocks.stack(&format!("{name}_stem"), stem, x)?;
            } else {
                let at = stage - 1;
                let halving = Conv2D::new(channels, 2).strides(2);
                let downsampling = layers![
                    norm().named(format!("{name}_downsampling_layernorm_{at}")),
                    halving.named(format!("{name}_downsampling_conv_{at}")),
                ];
                x = blocks.stack(&format!("{name}_downsampling_block_{at}"), downsampling, x)?;
            }
            for block in 0..depth {
                let prefix = format!("{name}_stage_{stage}_block_{block}");
                let y = correction(blocks, &prefix, channels, x)?;
                // Keras adds with an operator, whose automatic name begins at `add`.
                x = blocks.merge(None, Add, &[x, y])?;
            }
        }
        Ok(x)
    }

    fn top(
        &self,
        blocks: &mut Blocks<'_>,
        features: LayerOutput,
        options: &Options,
    ) -> Result<LayerOutput> {
        let name = |part: &str| format!("{}_head_{part}", self.name);
        let x = blocks.apply(name("gap"), GlobalAveragePooling2D::new(), features)?;
        let x = blocks.apply(name("layernorm"), norm(), x)?;
        let classifier = Dense::new(options.classes);
        let classifier = classifier.activation(options.classifier_activation.clone());
        blocks.apply(name("dense"), classifier, x)
    }

    fn after_pooling(&self, blocks: &mut Blocks<'_>, x: LayerOutput) -> Result<LayerOutput> {
        blocks.apply(None, norm(), x)
    }
}

/// What a block adds to its input.
fn correction(
    blocks: &mut Blocks<'_>,
    prefix: &str,
    channels: usize,
    x: LayerOutput,
) -> Result<LayerOutput> {
    let name = |part: &str| format!("{prefix}_{part}");
    let depthwise = Conv2D::new(channels, 7).padding("same").groups(channels);
    let x = blocks.apply(name("depthwise_conv"), depthwise, x)?;
    let x = blocks.apply(name("layernorm"), norm(), x)?;
    let x = blocks.apply(name("pointwise_conv_1"), Dense::new(4 * channels), x)?;
    let x = blocks.apply(name("gelu"), ActivationLayer::new("gelu"), x)?;
    let x = blocks.apply(name("pointwise_conv_2"), Dense::new(channels), x)?;
    let scale = LayerScale::new(1e-6, channels);
    let x = blocks.apply(name("layer_scale"), scale, x)?;
    blocks.apply(name("identity"), ActivationLayer::new("linear"), x)
}

fn norm() -> LayerNormalization {
    LayerNormalization::new().epsilon(1e-6)
}

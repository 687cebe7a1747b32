//! InceptionResNetV2: Inception's branches as corrections of what goes past them.

use regraft_layers::layers::{BatchNormalization, Conv2D, CustomScaleLayer};
use regraft_layers::{ActivationLayer, LayerOutput, Result};

use super::inception_blocks::{
    Kernel, branch, concatenate, first_block, halving_branch, halving_pooling, stem,
};
use super::weights::file::WeightsFile;
use super::weights::keras_files::keras_file;
use super::{Application, Architecture, Blocks, Options, Preprocessing};

/// InceptionResNetV2, 55.9 million parameters.
///
/// Source: Szegedy et al., <https://arxiv.org/abs/1602.07261>;
/// Keras: <https://keras.io/api/applications/inceptionresnetv2/>.
#[derive(Clone, Copy, Debug, Default)]
pub struct InceptionResNetV2;

/// [`InceptionResNetV2`].
pub fn inception_resnet_v2() -> Application<InceptionResNetV2> {
    Application::new(InceptionResNetV2)
}

/// A kind of block: its name, how many times it stands there, how much its branches count, the
/// branches, and the channels.
struct Residual<'b> {
    name: &'static str,
    times: usize,
    scale: f32,
    branches: &'b [&'b [Kernel]],
    channels: usize,
}

const AT_35: Residual<'_> = Residual {
    name: "block35",
    times: 10,
    scale: 0.17,
    branches: &[
        &[(32, [1, 1])],
        &[(32, [1, 1]), (32, [3, 3])],
        &[(32, [1, 1]), (48, [3, 3]), (64, [3, 3])],
    ],
    channels: 320,
};

const AT_17: Residual<'_> = Residual {
    name: "block17",
    times: 20,
    scale: 0.1,
    branches: &[
        &[(192, [1, 1])],
        &[(128, [1, 1]), (160, [1, 7]), (192, [7, 1])],
    ],
    channels: 1088,
};

const AT_8: Residual<'_> = Residual {
    name: "block8",
    times: 10,
    scale: 0.2,
    branches: &[
        &[(192, [1, 1])],
        &[(192, [1, 1]), (224, [1, 3]), (256, [3, 1])],
    ],
    channels: 2080,
};

impl Architecture for InceptionResNetV2 {
    fn name(&self, _: &Options) -> String {
        "inception_resnet_v2".to_string()
    }

    fn default_size(&self) -> usize {
        299
    }

    fn minimum_size(&self) -> usize {
        75
    }

    fn preprocessing(&self, _: &Options) -> Preprocessing {
        Preprocessing::Tf
    }

    fn imagenet_weights(&self, options: &Options) -> Option<WeightsFile> {
        keras_file("inception_resnet_v2", "", options)
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
        let x = stem(blocks, image)?;
        let x = first_block(blocks, "mixed_5b", x, [96, 64])?;
        let x = AT_35.write(blocks, x)?;
        let branches = [
            halving_branch(blocks, x, &[], 384)?,
            halving_branch(blocks, x, &[(256, [1, 1]), (256, [3, 3])], 384)?,
            halving_pooling(blocks, x)?,
        ];
        let x = concatenate(blocks, "mixed_6a", &branches)?;
        let x = AT_17.write(blocks, x)?;
        let branches = [
            halving_branch(blocks, x, &[(256, [1, 1])], 384)?,
            halving_branch(blocks, x, &[(256, [1, 1])], 288)?,
            halving_branch(blocks, x, &[(256, [1, 1]), (288, [3, 3])], 320)?,
            halving_pooling(blocks, x)?,
        ];
        let x = concatenate(blocks, "mixed_7a", &branches)?;
        let x = AT_8.write(blocks, x)?;
        let x = blocks.apply(
            "conv_7b",
            Conv2D::new(1536, 1).padding("same").use_bias(false),
            x,
        )?;
        let norm = BatchNormalization::new();
        let x = blocks.apply("conv_7b_bn", norm.axis(3).scale(false), x)?;
        blocks.apply("conv_7b_ac", ActivationLayer::new("relu"), x)
    }
}

impl Residual<'_> {
    /// All blocks of the kind. The very last of the network counts fully and has no ReLU.
    fn write(&self, blocks: &mut Blocks<'_>, mut x: LayerOutput) -> Result<LayerOutput> {
        for number in 1..=self.times {
            let is_last = self.channels == AT_8.channels && number == self.times;
            let prefix = format!("{}_{number}", self.name);
            let outputs: Vec<LayerOutput> = self
                .branches
                .iter()
                .map(|kernels| branch(blocks, x, kernels))
                .collect::<Result<_>>()?;
            let y = concatenate(blocks, format!("{prefix}_mixed"), &outputs)?;
            let up = Conv2D::new(self.channels, 1).padding("same");
            let y = blocks.apply(format!("{prefix}_conv"), up, y)?;
            let scale = if is_last { 1.0 } else { self.scale };
            x = blocks.merge(None, CustomScaleLayer::new(scale), &[x, y])?;
            if !is_last {
                let relu = ActivationLayer::new("relu");
                x = blocks.apply(format!("{prefix}_ac"), relu, x)?;
            }
        }
        Ok(x)
    }
}

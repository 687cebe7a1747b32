//! InceptionV3: branches of convolutions of several sizes side by side, large ones made of small ones.

use regraft_layers::{LayerOutput, Result};

use super::blocks::LayerName;
use super::inception_blocks::{
    branch, concatenate, first_block, halving_branch, halving_pooling, pooled_branch, stem,
};
use super::weights::file::WeightsFile;
use super::weights::keras_files::keras_file;
use super::{Application, Architecture, Blocks, Options, Preprocessing};

/// InceptionV3, 23.9 million parameters.
///
/// Source: Szegedy et al., <https://arxiv.org/abs/1512.00567>;
/// Keras: <https://keras.io/api/applications/inceptionv3/>.
#[derive(Clone, Copy, Debug, Default)]
pub struct InceptionV3;

/// [`InceptionV3`].
pub fn inception_v3() -> Application<InceptionV3> {
    Application::new(InceptionV3)
}

impl Architecture for InceptionV3 {
    fn name(&self, _: &Options) -> String {
        "inception_v3".to_string()
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
        keras_file("inception_v3", "", options)
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
        let x = first_block(blocks, "mixed0", x, [64, 32])?;
        let x = first_block(blocks, "mixed1", x, [64, 64])?;
        let x = first_block(blocks, "mixed2", x, [64, 64])?;
        let branches = [
            halving_branch(blocks, x, &[], 384)?,
            halving_branch(blocks, x, &[(64, [1, 1]), (96, [3, 3])], 96)?,
            halving_pooling(blocks, x)?,
        ];
        let mut x = concatenate(blocks, "mixed3", &branches)?;
        for (block, filters) in [(4, 128), (5, 160), (6, 160), (7, 192)] {
            x = factorized_block(blocks, &format!("mixed{block}"), x, filters)?;
        }
        let before = [(192, [1, 1]), (192, [1, 7]), (192, [7, 1])];
        let branches = [
            halving_branch(blocks, x, &[(192, [1, 1])], 320)?,
            halving_branch(blocks, x, &before, 192)?,
            halving_pooling(blocks, x)?,
        ];
        let x = concatenate(blocks, "mixed8", &branches)?;
        let x = expanded_block(blocks, 9, x)?;
        expanded_block(blocks, 10, x)
    }
}

/// 7×7 convolutions as 1×7 and 7×1 ones, with `inner` filters between them.
fn factorized_block(
    blocks: &mut Blocks<'_>,
    name: &str,
    x: LayerOutput,
    inner: usize,
) -> Result<LayerOutput> {
    let once = [(inner, [1, 1]), (inner, [1, 7]), (192, [7, 1])];
    let twice = [
        (inner, [1, 1]),
        (inner, [7, 1]),
        (inner, [1, 7]),
        (inner, [7, 1]),
        (192, [1, 7]),
    ];
    let branches = [
        branch(blocks, x, &[(192, [1, 1])])?,
        branch(blocks, x, &once)?,
        branch(blocks, x, &twice)?,
        pooled_branch(blocks, x, 192)?,
    ];
    concatenate(blocks, name, &branches)
}

/// Branches that end in a 1×3 and a 3×1 convolution side by side.
fn expanded_block(blocks: &mut Blocks<'_>, number: usize, x: LayerOutput) -> Result<LayerOutput> {
    let first = branch(blocks, x, &[(320, [1, 1])])?;
    let once = branch(blocks, x, &[(384, [1, 1])])?;
    let name = format!("mixed9_{}", number - 9);
    let once = both_ways(blocks, name, once)?;
    let twice = branch(blocks, x, &[(448, [1, 1]), (384, [3, 3])])?;
    let twice = both_ways(blocks, None, twice)?;
    let last = pooled_branch(blocks, x, 192)?;
    let name = format!("mixed{number}");
    concatenate(blocks, name, &[first, once, twice, last])
}

fn both_ways(
    blocks: &mut Blocks<'_>,
    name: impl Into<LayerName>,
    x: LayerOutput,
) -> Result<LayerOutput> {
    let rows = branch(blocks, x, &[(384, [1, 3])])?;
    let columns = branch(blocks, x, &[(384, [3, 1])])?;
    concatenate(blocks, name, &[rows, columns])
}

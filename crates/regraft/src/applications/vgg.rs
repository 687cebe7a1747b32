//! VGG: stacks of 3×3 convolutions and three dense layers.

use regraft_layers::layers::{Conv2D, Dense, Flatten, MaxPooling2D};
use regraft_layers::{LayerOutput, Result};

use super::weights::file::WeightsFile;
use super::weights::keras_files::keras_file;
use super::{Application, Architecture, Blocks, Options, Preprocessing};

/// VGG16 or VGG19; [`vgg16`] and [`vgg19`] build them.
#[derive(Clone, Debug)]
pub struct Vgg {
    name: &'static str,
    /// How many convolutions each block has.
    convolutions: [usize; 5],
}

/// VGG16: 138 million parameters, images of 224×224, at least 32×32 without top.
///
/// Simonyan and Zisserman 2014, <https://arxiv.org/abs/1409.1556>.
/// Keras: <https://keras.io/api/applications/vgg/>.
pub fn vgg16() -> Application<Vgg> {
    let convolutions = [2, 2, 3, 3, 3];
    Application::new(Vgg {
        name: "vgg16",
        convolutions,
    })
}

/// VGG19: as [`vgg16`] with three more convolutions, 144 million parameters.
pub fn vgg19() -> Application<Vgg> {
    let convolutions = [2, 2, 4, 4, 4];
    Application::new(Vgg {
        name: "vgg19",
        convolutions,
    })
}

impl Architecture for Vgg {
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
        let mut x = image;
        let filters = [64, 128, 256, 512, 512];
        for (block, (filters, convolutions)) in
            filters.into_iter().zip(self.convolutions).enumerate()
        {
            let block = block + 1;
            for number in 1..=convolutions {
                let convolution = Conv2D::new(filters, 3).padding("same").activation("relu");
                x = blocks.apply(format!("block{block}_conv{number}"), convolution, x)?;
            }
            x = blocks.apply(format!("block{block}_pool"), MaxPooling2D::new(2), x)?;
        }
        Ok(x)
    }

    fn top(
        &self,
        blocks: &mut Blocks<'_>,
        features: LayerOutput,
        options: &Options,
    ) -> Result<LayerOutput> {
        let x = blocks.apply("flatten", Flatten::new(), features)?;
        let x = blocks.apply("fc1", Dense::new(4096).activation("relu"), x)?;
        let x = blocks.apply("fc2", Dense::new(4096).activation("relu"), x)?;
        blocks.predictions(x, options)
    }

    fn pooling_names(&self) -> Option<[&'static str; 2]> {
        None
    }
}

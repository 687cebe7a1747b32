//! MobileNet: depthwise 3×3 convolutions, each followed by a 1×1 convolution.

use std::sync::Arc;

use regraft_layers::layers::{
    ActivationLayer, BatchNormalization, Conv2D, DepthwiseConv2D, Dropout, GlobalAveragePooling2D,
    ReLU, Reshape, ZeroPadding2D,
};
use regraft_layers::{LayerOutput, Result};
use regraft_tensor::Detail;

use super::weights::file::WeightsFile;
use super::weights::keras_files::{is_rounded, keras_file, size_of};
use super::{Application, Architecture, Blocks, Options, Preprocessing};

/// MobileNet of some width; [`mobilenet`] builds it.
#[derive(Clone, Debug)]
pub struct MobileNet {
    alpha: f64,
    depth_multiplier: usize,
    dropout: f32,
}

/// MobileNet: 4.3 million parameters, images of 224×224, at least 32×32 without top.
///
/// Howard et al. 2017, <https://arxiv.org/abs/1704.04861>.
/// Keras: <https://keras.io/api/applications/mobilenet/>.
pub fn mobilenet() -> Application<MobileNet> {
    Application::new(MobileNet {
        alpha: 1.0,
        depth_multiplier: 1,
        dropout: 1e-3,
    })
}

impl Application<MobileNet> {
    fn with(mut self, change: impl FnOnce(&mut MobileNet)) -> Self {
        let mut network = MobileNet::clone(&self.architecture);
        change(&mut network);
        self.architecture = Arc::new(network);
        self
    }

    /// The width: every number of filters is multiplied by it; 1 unless told otherwise.
    pub fn alpha(self, alpha: f64) -> Self {
        self.with(|network| network.alpha = alpha)
    }

    /// The number of outputs that a depthwise convolution has for each channel; 1 unless told
    /// otherwise.
    pub fn depth_multiplier(self, depth_multiplier: usize) -> Self {
        self.with(|network| network.depth_multiplier = depth_multiplier)
    }

    /// The share of features that the top drops in training, 0.001 unless told otherwise.
    pub fn dropout(self, dropout: f32) -> Self {
        self.with(|network| network.dropout = dropout)
    }
}

/// Filters and stride of the blocks after the first convolution.
const BLOCKS: [(usize, usize); 13] = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
];

/// An error unless a width is a positive number.
pub(super) fn check_alpha(alpha: f64) -> Result<(), Detail> {
    match alpha > 0.0 && alpha <= 16.0 {
        true => Ok(()),
        false => Err(Detail::new("alpha", "a width above 0, at most 16", alpha)),
    }
}

impl Architecture for MobileNet {
    fn name(&self, options: &Options) -> String {
        format!("mobilenet_{:.2}_{}", self.alpha, options.input_shape[0])
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
        let size = size_of(options, &[128, 160, 192, 224]);
        let settings = format!("alpha={:.2},size={size}", self.alpha);
        let known = self.depth_multiplier == 1 && is_rounded(self.alpha);
        known.then(|| keras_file("mobilenet", &settings, options))?
    }

    fn check(&self, _options: &Options) -> Result<(), Detail> {
        check_alpha(self.alpha)
    }

    fn features(
        &self,
        blocks: &mut Blocks<'_>,
        image: LayerOutput,
        _options: &Options,
    ) -> Result<LayerOutput> {
        let filters = |filters: usize| (filters as f64 * self.alpha) as usize;
        let convolution = Conv2D::new(filters(32), 3).strides(2).padding("same");
        let x = blocks.apply("conv1", convolution.use_bias(false), image)?;
        let mut x = activate(blocks, "conv1", x)?;
        for (number, (wanted, stride)) in BLOCKS.into_iter().enumerate() {
            let number = number + 1;
            let mut depthwise = DepthwiseConv2D::new(3).strides(stride).use_bias(false);
            if stride == 1 {
                depthwise = depthwise.padding("same");
            } else {
                let border = ZeroPadding2D::new([[0, 1], [0, 1]]);
                x = blocks.apply(format!("conv_pad_{number}"), border, x)?;
            }
            let name = format!("conv_dw_{number}");
            let depthwise = depthwise.depth_multiplier(self.depth_multiplier);
            x = blocks.apply(name.as_str(), depthwise, x)?;
            x = activate(blocks, &name, x)?;
            let name = format!("conv_pw_{number}");
            let pointwise = Conv2D::new(filters(wanted), 1).padding("same");
            x = blocks.apply(name.as_str(), pointwise.use_bias(false), x)?;
            x = activate(blocks, &name, x)?;
        }
        Ok(x)
    }

    fn top(
        &self,
        blocks: &mut Blocks<'_>,
        features: LayerOutput,
        options: &Options,
    ) -> Result<LayerOutput> {
        let pooling = GlobalAveragePooling2D::new().keep_dims(true);
        let x = blocks.apply(None, pooling, features)?;
        let x = blocks.apply("dropout", Dropout::new(self.dropout), x)?;
        let classifier = Conv2D::new(options.classes, 1).padding("same");
        let x = blocks.apply("conv_preds", classifier, x)?;
        let classes = isize::try_from(options.classes).unwrap_or(isize::MAX);
        let x = blocks.apply("reshape_2", Reshape::new([classes]), x)?;
        let activation = ActivationLayer::new(options.classifier_activation.clone());
        blocks.apply("predictions", activation, x)
    }

    fn pooling_names(&self) -> Option<[&'static str; 2]> {
        None
    }
}

/// Batch normalization and ReLU6.
fn activate(blocks: &mut Blocks<'_>, name: &str, x: LayerOutput) -> Result<LayerOutput> {
    let x = blocks.apply(format!("{name}_bn"), BatchNormalization::new(), x)?;
    blocks.apply(format!("{name}_relu"), ReLU::new().max_value(6.0), x)
}

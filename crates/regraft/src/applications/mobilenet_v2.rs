//! MobileNetV2: blocks that widen, convolve each channel, and narrow again.

use std::sync::Arc;

use regraft_layers::layers::{
    Add, Conv2D, DepthwiseConv2D, GlobalAveragePooling2D, ReLU, ZeroPadding2D,
};
use regraft_layers::{LayerOutput, Result};
use regraft_tensor::Detail;

use super::blocks::{batch_normalization, make_divisible};
use super::mobilenet::check_alpha;
use super::weights::file::WeightsFile;
use super::weights::keras_files::{is_rounded, keras_file, size_of};
use super::{Application, Architecture, Blocks, Options, Preprocessing};

/// MobileNetV2 of some width; [`mobilenet_v2`] builds it.
#[derive(Clone, Debug)]
pub struct MobileNetV2 {
    alpha: f64,
}

/// MobileNetV2: 3.5 million parameters, images of 224×224, at least 32×32 without top.
///
/// Sandler et al. 2018, <https://arxiv.org/abs/1801.04381>.
/// Keras: <https://keras.io/api/applications/mobilenet/>.
pub fn mobilenet_v2() -> Application<MobileNetV2> {
    Application::new(MobileNetV2 { alpha: 1.0 })
}

impl Application<MobileNetV2> {
    /// The width: every number of filters is multiplied by it and made divisible by 8; 1 unless told
    /// otherwise.
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.architecture = Arc::new(MobileNetV2 { alpha });
        self
    }
}

/// Filters, stride of the first block, and number of blocks. All but the first widen six times.
const STACKS: [(usize, usize, usize); 7] = [
    (16, 1, 1),
    (24, 2, 2),
    (32, 2, 3),
    (64, 2, 4),
    (96, 1, 3),
    (160, 2, 3),
    (320, 1, 1),
];

impl Architecture for MobileNetV2 {
    fn name(&self, options: &Options) -> String {
        format!("mobilenetv2_{:.2}_{}", self.alpha, options.input_shape[0])
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
        let size = size_of(options, &[96, 128, 160, 192, 224]);
        let settings = format!("alpha={:.2},size={size}", self.alpha);
        is_rounded(self.alpha).then(|| keras_file("mobilenetv2", &settings, options))?
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
        let first = make_divisible(32.0 * self.alpha, 8);
        let convolution = Conv2D::new(first, 3)
            .strides(2)
            .padding("same")
            .use_bias(false);
        let x = blocks.apply("Conv1", convolution, image)?;
        let x = blocks.apply("bn_Conv1", batch_normalization(0.999), x)?;
        let mut x = blocks.apply("Conv1_relu", ReLU::new().max_value(6.0), x)?;
        let mut number = 0;
        for (filters, first_stride, count) in STACKS {
            for position in 0..count {
                let stride = if position == 0 { first_stride } else { 1 };
                x = self.block(blocks, number, filters, stride, x)?;
                number += 1;
            }
        }
        // Narrower networks keep the width of the last convolution.
        let last = match self.alpha > 1.0 {
            true => make_divisible(1280.0 * self.alpha, 8),
            false => 1280,
        };
        let x = blocks.apply("Conv_1", Conv2D::new(last, 1).use_bias(false), x)?;
        let x = blocks.apply("Conv_1_bn", batch_normalization(0.999), x)?;
        blocks.apply("out_relu", ReLU::new().max_value(6.0), x)
    }

    fn top(
        &self,
        blocks: &mut Blocks<'_>,
        features: LayerOutput,
        options: &Options,
    ) -> Result<LayerOutput> {
        let x = blocks.apply(None, GlobalAveragePooling2D::new(), features)?;
        blocks.predictions(x, options)
    }

    fn pooling_names(&self) -> Option<[&'static str; 2]> {
        None
    }
}

impl MobileNetV2 {
    fn block(
        &self,
        blocks: &mut Blocks<'_>,
        number: usize,
        filters: usize,
        stride: usize,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        let channels = blocks.channels(x);
        let filters = make_divisible((filters as f64 * self.alpha).trunc(), 8);
        let (prefix, mut y) = match number {
            0 => ("expanded_conv".to_string(), x),
            _ => {
                let prefix = format!("block_{number}");
                let expansion = Conv2D::new(6 * channels, 1).padding("same").use_bias(false);
                let y = blocks.apply(format!("{prefix}_expand"), expansion, x)?;
                let y = activate(blocks, &format!("{prefix}_expand"), y)?;
                (prefix, y)
            }
        };
        let mut depthwise = DepthwiseConv2D::new(3).strides(stride).use_bias(false);
        if stride == 1 {
            depthwise = depthwise.padding("same");
        } else {
            let border = ZeroPadding2D::new(blocks.border(y, 3));
            y = blocks.apply(format!("{prefix}_pad"), border, y)?;
        }
        let y = blocks.apply(format!("{prefix}_depthwise"), depthwise, y)?;
        let y = activate(blocks, &format!("{prefix}_depthwise"), y)?;
        let projection = Conv2D::new(filters, 1).padding("same").use_bias(false);
        let y = blocks.apply(format!("{prefix}_project"), projection, y)?;
        let y = blocks.apply(
            format!("{prefix}_project_BN"),
            batch_normalization(0.999),
            y,
        )?;
        match channels == filters && stride == 1 {
            true => blocks.merge(format!("{prefix}_add"), Add, &[x, y]),
            false => Ok(y),
        }
    }
}

/// Batch normalization and ReLU6.
fn activate(blocks: &mut Blocks<'_>, name: &str, x: LayerOutput) -> Result<LayerOutput> {
    let x = blocks.apply(format!("{name}_BN"), batch_normalization(0.999), x)?;
    blocks.apply(format!("{name}_relu"), ReLU::new().max_value(6.0), x)
}

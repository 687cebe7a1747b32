//! MobileNetV3: MobileNetV2's blocks with squeeze and excitation, and hard activations.

use std::sync::Arc;

use regraft_layers::layers::{
    ActivationLayer, Add, Conv2D, DepthwiseConv2D, Dropout, Flatten, GlobalAveragePooling2D,
    Multiply, Operation, ReLU, Rescaling, ZeroPadding2D,
};
use regraft_layers::{LayerOutput, Result};
use regraft_tensor::Detail;

use super::blocks::{batch_normalization, make_divisible};
use super::mobilenet::check_alpha;
use super::weights::file::WeightsFile;
use super::weights::keras_files::{is_rounded, keras_file};
use super::{Application, Architecture, Blocks, BuiltInPreprocessing, Options, Preprocessing};

/// MobileNetV3 of some width; [`mobilenet_v3_small`] and [`mobilenet_v3_large`] build it.
#[derive(Clone, Debug)]
pub struct MobileNetV3 {
    name: &'static str,
    blocks: &'static [Block],
    /// The number of filters before the classes.
    last: usize,
    alpha: f64,
    minimalistic: bool,
    dropout: f32,
}

/// MobileNetV3Small: 2.6 million parameters, images of 224×224, at least 32×32 without top.
///
/// Howard et al. 2019, <https://arxiv.org/abs/1905.02244>.
/// Keras: <https://keras.io/api/applications/mobilenet/>.
pub fn mobilenet_v3_small() -> Application<MobileNetV3> {
    Application::new(MobileNetV3 {
        name: "MobileNetV3Small",
        blocks: &SMALL,
        last: 1024,
        alpha: 1.0,
        minimalistic: false,
        dropout: 0.2,
    })
}

/// MobileNetV3Large: as [`mobilenet_v3_small`], 5.5 million parameters.
pub fn mobilenet_v3_large() -> Application<MobileNetV3> {
    Application::new(MobileNetV3 {
        name: "MobileNetV3Large",
        blocks: &LARGE,
        last: 1280,
        alpha: 1.0,
        minimalistic: false,
        dropout: 0.2,
    })
}

impl Application<MobileNetV3> {
    fn with(mut self, change: impl FnOnce(&mut MobileNetV3)) -> Self {
        let mut network = MobileNetV3::clone(&self.architecture);
        change(&mut network);
        self.architecture = Arc::new(network);
        self
    }

    /// The width: every number of filters is multiplied by it and made divisible by 8; 1 unless told
    /// otherwise.
    pub fn alpha(self, alpha: f64) -> Self {
        self.with(|network| network.alpha = alpha)
    }

    /// Whether it does without squeeze and excitation, hard swish and 5×5 windows.
    pub fn minimalistic(self, minimalistic: bool) -> Self {
        self.with(|network| network.minimalistic = minimalistic)
    }

    /// The share of features that the top drops in training, 0.2 unless told otherwise.
    pub fn dropout_rate(self, dropout: f32) -> Self {
        self.with(|network| network.dropout = dropout)
    }
}

/// A block: how much it widens, its filters, the size of its window, its stride, whether it has
/// squeeze and excitation, and whether its activation is hard swish (ReLU otherwise).
type Block = (f64, usize, usize, usize, bool, bool);

const SMALL: [Block; 11] = [
    (1.0, 16, 3, 2, true, false),
    (72.0 / 16.0, 24, 3, 2, false, false),
    (88.0 / 24.0, 24, 3, 1, false, false),
    (4.0, 40, 5, 2, true, true),
    (6.0, 40, 5, 1, true, true),
    (6.0, 40, 5, 1, true, true),
    (3.0, 48, 5, 1, true, true),
    (3.0, 48, 5, 1, true, true),
    (6.0, 96, 5, 2, true, true),
    (6.0, 96, 5, 1, true, true),
    (6.0, 96, 5, 1, true, true),
];

const LARGE: [Block; 15] = [
    (1.0, 16, 3, 1, false, false),
    (4.0, 24, 3, 2, false, false),
    (3.0, 24, 3, 1, false, false),
    (3.0, 40, 5, 2, true, false),
    (3.0, 40, 5, 1, true, false),
    (3.0, 40, 5, 1, true, false),
    (6.0, 80, 3, 2, false, true),
    (2.5, 80, 3, 1, false, true),
    (2.3, 80, 3, 1, false, true),
    (2.3, 80, 3, 1, false, true),
    (6.0, 112, 3, 1, true, true),
    (6.0, 112, 3, 1, true, true),
    (6.0, 160, 5, 2, true, true),
    (6.0, 160, 5, 1, true, true),
    (6.0, 160, 5, 1, true, true),
];

impl BuiltInPreprocessing for MobileNetV3 {}

impl Architecture for MobileNetV3 {
    fn name(&self, _options: &Options) -> String {
        self.name.to_string()
    }

    fn default_size(&self) -> usize {
        224
    }

    fn minimum_size(&self) -> usize {
        32
    }

    fn preprocessing(&self, options: &Options) -> Preprocessing {
        match options.include_preprocessing {
            true => Preprocessing::BuiltIn,
            false => Preprocessing::Tf,
        }
    }

    fn imagenet_weights(&self, options: &Options) -> Option<WeightsFile> {
        let settings = match (self.minimalistic, self.alpha) {
            (true, 1.0) => "minimalistic".to_string(),
            (true, _) => return None,
            (false, alpha) => format!("alpha={alpha:.2}"),
        };
        is_rounded(self.alpha).then(|| keras_file(self.name, &settings, options))?
    }

    fn check(&self, _options: &Options) -> Result<(), Detail> {
        check_alpha(self.alpha)
    }

    fn features(
        &self,
        blocks: &mut Blocks<'_>,
        image: LayerOutput,
        options: &Options,
    ) -> Result<LayerOutput> {
        let mut x = image;
        if options.include_preprocessing {
            x = blocks.apply(None, Rescaling::new(1.0 / 127.5).offset(-1.0), x)?;
        }
        let convolution = Conv2D::new(16, 3)
            .strides(2)
            .padding("same")
            .use_bias(false);
        x = blocks.apply("conv", convolution, x)?;
        x = blocks.apply("conv_bn", batch_normalization(0.999), x)?;
        x = self.activate(blocks, true, x)?;
        for (number, block) in self.blocks.iter().enumerate() {
            x = self.block(blocks, number, *block, x)?;
        }
        let last = make_divisible(blocks.channels(x) as f64 * 6.0, 8);
        let convolution = Conv2D::new(last, 1).padding("same").use_bias(false);
        x = blocks.apply("conv_1", convolution, x)?;
        x = blocks.apply("conv_1_bn", batch_normalization(0.999), x)?;
        self.activate(blocks, true, x)
    }

    fn top(
        &self,
        blocks: &mut Blocks<'_>,
        features: LayerOutput,
        options: &Options,
    ) -> Result<LayerOutput> {
        let pooling = GlobalAveragePooling2D::new().keep_dims(true);
        let x = blocks.apply(None, pooling, features)?;
        // Narrower networks keep this width.
        let last = match self.alpha > 1.0 {
            true => self.width(self.last as f64),
            false => self.last,
        };
        let x = blocks.apply("conv_2", Conv2D::new(last, 1).padding("same"), x)?;
        let mut x = self.activate(blocks, true, x)?;
        if self.dropout > 0.0 {
            x = blocks.apply(None, Dropout::new(self.dropout), x)?;
        }
        let classifier = Conv2D::new(options.classes, 1).padding("same");
        let x = blocks.apply("logits", classifier, x)?;
        let x = blocks.apply(None, Flatten::new(), x)?;
        let activation = ActivationLayer::new(options.classifier_activation.clone());
        blocks.apply("predictions", activation, x)
    }
}

impl MobileNetV3 {
    fn width(&self, filters: f64) -> usize {
        make_divisible(filters * self.alpha, 8)
    }

    /// Hard swish where it is asked for and the network has it, ReLU otherwise.
    fn activate(&self, blocks: &mut Blocks<'_>, hard: bool, x: LayerOutput) -> Result<LayerOutput> {
        match hard && !self.minimalistic {
            true => blocks.apply(None, ActivationLayer::new("hard_silu"), x),
            false => blocks.apply(None, ReLU::new(), x),
        }
    }

    fn block(
        &self,
        blocks: &mut Blocks<'_>,
        number: usize,
        block: Block,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        let (expansion, filters, kernel, stride, squeezes, hard) = block;
        let (kernel, squeezes) = match self.minimalistic {
            true => (3, false),
            false => (kernel, squeezes),
        };
        let channels = blocks.channels(x);
        let filters = self.width(filters as f64);
        let widened = make_divisible(channels as f64 * expansion, 8);
        let (prefix, mut y) = match number {
            0 => ("expanded_conv".to_string(), x),
            _ => {
                let prefix = format!("expanded_conv_{number}");
                let expansion = Conv2D::new(widened, 1).padding("same").use_bias(false);
                let y = blocks.apply(format!("{prefix}_expand"), expansion, x)?;
                let name = format!("{prefix}_expand_bn");
                let y = blocks.apply(name, batch_normalization(0.999), y)?;
                (prefix, self.activate(blocks, hard, y)?)
            }
        };
        let mut depthwise = DepthwiseConv2D::new(kernel).strides(stride).use_bias(false);
        if stride == 1 {
            depthwise = depthwise.padding("same");
        } else {
            let border = ZeroPadding2D::new(blocks.border(y, kernel));
            y = blocks.apply(format!("{prefix}_depthwise_pad"), border, y)?;
        }
        y = blocks.apply(format!("{prefix}_depthwise"), depthwise, y)?;
        y = blocks.apply(
            format!("{prefix}_depthwise_bn"),
            batch_normalization(0.999),
            y,
        )?;
        y = self.activate(blocks, hard, y)?;
        if squeezes {
            let widened = if number == 0 { channels } else { widened };
            y = squeeze_excite(blocks, &prefix, widened, y)?;
        }
        let projection = Conv2D::new(filters, 1).padding("same").use_bias(false);
        y = blocks.apply(format!("{prefix}_project"), projection, y)?;
        y = blocks.apply(
            format!("{prefix}_project_bn"),
            batch_normalization(0.999),
            y,
        )?;
        match stride == 1 && channels == filters {
            true => blocks.merge(format!("{prefix}_add"), Add, &[x, y]),
            false => Ok(y),
        }
    }
}

/// Weighs each channel by what the means of all channels say.
fn squeeze_excite(
    blocks: &mut Blocks<'_>,
    prefix: &str,
    channels: usize,
    x: LayerOutput,
) -> Result<LayerOutput> {
    let prefix = format!("{prefix}_squeeze_excite");
    let pooling = GlobalAveragePooling2D::new().keep_dims(true);
    let y = blocks.apply(format!("{prefix}_avg_pool"), pooling, x)?;
    let reduced = make_divisible(channels as f64 * 0.25, 8);
    let y = blocks.apply(
        format!("{prefix}_conv"),
        Conv2D::new(reduced, 1).padding("same"),
        y,
    )?;
    let y = blocks.apply(format!("{prefix}_relu"), ReLU::new(), y)?;
    let y = blocks.apply(
        format!("{prefix}_conv_1"),
        Conv2D::new(channels, 1).padding("same"),
        y,
    )?;
    let weights = hard_sigmoid(blocks, y)?;
    blocks.merge(format!("{prefix}_mul"), Multiply, &[x, weights])
}

/// `min(max(x + 3, 0), 6) / 6` in the three steps in which Keras writes it.
fn hard_sigmoid(blocks: &mut Blocks<'_>, x: LayerOutput) -> Result<LayerOutput> {
    let x = blocks.apply(None, Operation::new("Add").constant(1, 3.0), x)?;
    let x = blocks.apply(None, ReLU::new().max_value(6.0), x)?;
    blocks.apply(None, Operation::new("Multiply").constant(1, 1.0 / 6.0), x)
}

//! EfficientNet: MobileNetV2's blocks with squeeze and excitation, scaled in width, depth and size.

use std::sync::Arc;

use regraft_layers::layers::{
    ActivationLayer, Add, BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Dropout,
    GlobalAveragePooling2D, Multiply, Normalization, Rescaling, Reshape, ZeroPadding2D,
};
use regraft_layers::{LayerOutput, Result};

use super::blocks::{classifier_initializer, convolution_initializer, make_divisible};
use super::weights::file::WeightsFile;
use super::weights::keras_files::keras_file;
use super::{Application, Architecture, Blocks, Options, Preprocessing};

/// An EfficientNet; [`efficientnet_b0`] to [`efficientnet_b7`] build them.
#[derive(Clone, Debug)]
pub struct EfficientNet {
    name: &'static str,
    width: f64,
    depth: f64,
    size: usize,
    dropout: f32,
    imagenet_scaling: bool,
}

/// Defines the function that builds one of them.
macro_rules! network {
    ($(#[$documentation:meta])* $function:ident, $name:literal, $width:literal, $depth:literal, $size:literal, $dropout:literal) => {
        $(#[$documentation])*
        pub fn $function() -> Application<EfficientNet> {
            Application::new(EfficientNet {
                name: $name,
                width: $width,
                depth: $depth,
                size: $size,
                dropout: $dropout,
                imagenet_scaling: false,
            })
        }
    };
}

network!(
    /// EfficientNetB0: 5.3 million parameters, images of 224×224, at least 32×32 without top. It
    /// takes pixels from 0 to 255 and scales them itself.
    ///
    /// Tan and Le 2019, <https://arxiv.org/abs/1905.11946>.
    /// Keras: <https://keras.io/api/applications/efficientnet/>.
    efficientnet_b0, "efficientnetb0", 1.0, 1.0, 224, 0.2
);
network!(
    /// EfficientNetB1: as [`efficientnet_b0`], 7.9 million parameters, images of 240×240.
    efficientnet_b1, "efficientnetb1", 1.0, 1.1, 240, 0.2
);
network!(
    /// EfficientNetB2: as [`efficientnet_b0`], 9.2 million parameters, images of 260×260.
    efficientnet_b2, "efficientnetb2", 1.1, 1.2, 260, 0.3
);
network!(
    /// EfficientNetB3: as [`efficientnet_b0`], 12.3 million parameters, images of 300×300.
    efficientnet_b3, "efficientnetb3", 1.2, 1.4, 300, 0.3
);
network!(
    /// EfficientNetB4: as [`efficientnet_b0`], 19.5 million parameters, images of 380×380.
    efficientnet_b4, "efficientnetb4", 1.4, 1.8, 380, 0.4
);
network!(
    /// EfficientNetB5: as [`efficientnet_b0`], 30.6 million parameters, images of 456×456.
    efficientnet_b5, "efficientnetb5", 1.6, 2.2, 456, 0.4
);
network!(
    /// EfficientNetB6: as [`efficientnet_b0`], 43.3 million parameters, images of 528×528.
    efficientnet_b6, "efficientnetb6", 1.8, 2.6, 528, 0.5
);
network!(
    /// EfficientNetB7: as [`efficientnet_b0`], 66.7 million parameters, images of 600×600.
    efficientnet_b7, "efficientnetb7", 2.0, 3.1, 600, 0.5
);

impl Application<EfficientNet> {
    /// Whether the network has the scaling of colours that Keras adds for its own ImageNet weights
    /// (`weights="imagenet"`), which were made without it: another [`Rescaling`] after the
    /// normalization. It has not unless told otherwise, as in Keras with a file of one's own;
    /// [`pretrained`](Application::pretrained) says so.
    pub fn imagenet_scaling(mut self, imagenet_scaling: bool) -> Self {
        let mut network = EfficientNet::clone(&self.architecture);
        network.imagenet_scaling = imagenet_scaling;
        self.architecture = Arc::new(network);
        self
    }
}

/// What the stacks of blocks are like: the window, how many blocks, filters, how much they widen, and
/// the stride of the first.
pub(super) const STACKS: [(usize, usize, usize, usize, usize); 7] = [
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
];

/// The rate of the dropped blocks, which grows from 0 to this.
const DROP_CONNECT: f64 = 0.2;

impl Architecture for EfficientNet {
    fn name(&self, _options: &Options) -> String {
        self.name.to_string()
    }

    fn default_size(&self) -> usize {
        self.size
    }

    fn minimum_size(&self) -> usize {
        32
    }

    fn preprocessing(&self, _options: &Options) -> Preprocessing {
        Preprocessing::BuiltIn
    }

    fn imagenet_weights(&self, options: &Options) -> Option<WeightsFile> {
        keras_file(self.name, "", options)
    }

    fn features(
        &self,
        blocks: &mut Blocks<'_>,
        image: LayerOutput,
        options: &Options,
    ) -> Result<LayerOutput> {
        let x = blocks.apply(None, Rescaling::new(1.0 / 255.0), image)?;
        let mut x = blocks.apply(None, Normalization::new().axis([3]), x)?;
        if self.imagenet_scaling || options.imagenet_weights {
            let scale = [0.229_f64, 0.224, 0.225].map(|variance| (1.0 / variance.sqrt()) as f32);
            x = blocks.apply(None, Rescaling::per_channel(scale), x)?;
        }
        let border = ZeroPadding2D::new(blocks.border(x, 3));
        let x = blocks.apply("stem_conv_pad", border, x)?;
        let stem = convolution(self.filters(32), 3, 2, "valid");
        let x = blocks.apply("stem_conv", stem, x)?;
        let mut x = activate(blocks, "stem", x)?;
        let count: usize = STACKS.iter().map(|stack| self.repeats(stack.1)).sum();
        let mut number = 0;
        for (stack, (kernel, repeats, filters, expansion, stride)) in STACKS.into_iter().enumerate()
        {
            for position in 0..self.repeats(repeats) {
                let block = Block {
                    name: block_name(stack, position),
                    kernel,
                    filters: self.filters(filters),
                    expansion,
                    stride: if position == 0 { stride } else { 1 },
                    drop_rate: DROP_CONNECT * number as f64 / count as f64,
                };
                x = block.write(blocks, x)?;
                number += 1;
            }
        }
        let x = blocks.apply("top_conv", convolution(self.filters(1280), 1, 1, "same"), x)?;
        activate(blocks, "top", x)
    }

    fn top(
        &self,
        blocks: &mut Blocks<'_>,
        features: LayerOutput,
        options: &Options,
    ) -> Result<LayerOutput> {
        top(blocks, self.dropout, features, options)
    }
}

impl EfficientNet {
    fn filters(&self, filters: usize) -> usize {
        make_divisible(filters as f64 * self.width, 8)
    }

    fn repeats(&self, repeats: usize) -> usize {
        (self.depth * repeats as f64).ceil() as usize
    }
}

/// Pooling, dropout and the classifier.
pub(super) fn top(
    blocks: &mut Blocks<'_>,
    dropout: f32,
    features: LayerOutput,
    options: &Options,
) -> Result<LayerOutput> {
    let x = blocks.apply("avg_pool", GlobalAveragePooling2D::new(), features)?;
    let x = blocks.apply("top_dropout", Dropout::new(dropout), x)?;
    let classifier = Dense::new(options.classes)
        .activation(options.classifier_activation.clone())
        .kernel_initializer(classifier_initializer());
    blocks.apply("predictions", classifier, x)
}

/// `block1a`, `block1b`, …, `block2a`, …
pub(super) fn block_name(stack: usize, position: usize) -> String {
    // No network has more blocks in a stack than the alphabet has letters.
    let letter = char::from(b'a' + (position % 26) as u8);
    format!("block{}{letter}", stack + 1)
}

fn convolution(filters: usize, kernel: usize, stride: usize, padding: &str) -> Conv2D {
    Conv2D::new(filters, kernel)
        .strides(stride)
        .padding(padding)
        .use_bias(false)
        .kernel_initializer(convolution_initializer())
}

fn batch_normalization() -> BatchNormalization {
    BatchNormalization::new().axis(3)
}

/// Batch normalization and swish.
fn activate(blocks: &mut Blocks<'_>, name: &str, x: LayerOutput) -> Result<LayerOutput> {
    let x = blocks.apply(format!("{name}_bn"), batch_normalization(), x)?;
    blocks.apply(
        format!("{name}_activation"),
        ActivationLayer::new("silu"),
        x,
    )
}

/// A block that widens, convolves each channel, weighs the channels, and narrows again.
struct Block {
    name: String,
    kernel: usize,
    filters: usize,
    expansion: usize,
    stride: usize,
    drop_rate: f64,
}

impl Block {
    fn write(&self, blocks: &mut Blocks<'_>, x: LayerOutput) -> Result<LayerOutput> {
        let name = &self.name;
        let channels = blocks.channels(x);
        let widened = channels * self.expansion;
        let mut y = x;
        if self.expansion != 1 {
            let expansion = convolution(widened, 1, 1, "same");
            y = blocks.apply(format!("{name}_expand_conv"), expansion, y)?;
            y = activate(blocks, &format!("{name}_expand"), y)?;
        }
        let mut depthwise = DepthwiseConv2D::new(self.kernel)
            .strides(self.stride)
            .use_bias(false)
            .depthwise_initializer(convolution_initializer());
        if self.stride == 1 {
            depthwise = depthwise.padding("same");
        } else {
            let border = ZeroPadding2D::new(blocks.border(y, self.kernel));
            y = blocks.apply(format!("{name}_dwconv_pad"), border, y)?;
        }
        y = blocks.apply(format!("{name}_dwconv"), depthwise, y)?;
        y = activate(blocks, name, y)?;
        y = squeeze_excite(blocks, name, (channels / 4).max(1), y)?;
        let projection = convolution(self.filters, 1, 1, "same");
        y = blocks.apply(format!("{name}_project_conv"), projection, y)?;
        y = blocks.apply(format!("{name}_project_bn"), batch_normalization(), y)?;
        match self.stride == 1 && channels == self.filters {
            true => add(blocks, name, self.drop_rate, x, y),
            false => Ok(y),
        }
    }
}

/// Weighs each channel by what the means of all channels say.
pub(super) fn squeeze_excite(
    blocks: &mut Blocks<'_>,
    name: &str,
    reduced: usize,
    x: LayerOutput,
) -> Result<LayerOutput> {
    let channels = blocks.channels(x);
    let y = blocks.apply(
        format!("{name}_se_squeeze"),
        GlobalAveragePooling2D::new(),
        x,
    )?;
    let size = isize::try_from(channels).unwrap_or(isize::MAX);
    let y = blocks.apply(format!("{name}_se_reshape"), Reshape::new([1, 1, size]), y)?;
    let dense = |filters: usize, activation: &str| {
        Conv2D::new(filters, 1)
            .padding("same")
            .activation(activation)
            .kernel_initializer(convolution_initializer())
    };
    let y = blocks.apply(format!("{name}_se_reduce"), dense(reduced, "silu"), y)?;
    let y = blocks.apply(format!("{name}_se_expand"), dense(channels, "sigmoid"), y)?;
    blocks.merge(format!("{name}_se_excite"), Multiply, &[x, y])
}

/// `x + y`, where `y` is dropped in training for some samples as a whole.
pub(super) fn add(
    blocks: &mut Blocks<'_>,
    name: &str,
    drop_rate: f64,
    x: LayerOutput,
    mut y: LayerOutput,
) -> Result<LayerOutput> {
    if drop_rate > 0.0 {
        let dropout = Dropout::new(drop_rate as f32).noise_shape([None, Some(1), Some(1), Some(1)]);
        y = blocks.apply(format!("{name}_drop"), dropout, y)?;
    }
    blocks.merge(format!("{name}_add"), Add, &[y, x])
}

//! EfficientNetV2: EfficientNet whose first stacks have plain convolutions instead of depthwise ones.

use regraft_layers::layers::{
    ActivationLayer, BatchNormalization, Conv2D, DepthwiseConv2D, Normalization, Rescaling,
};
use regraft_layers::{LayerOutput, Result};

use super::blocks::{convolution_initializer, nearest_multiple};
use super::efficientnet::{add, block_name, squeeze_excite, top};
use super::weights::file::WeightsFile;
use super::weights::keras_files::keras_file;
use super::{Application, Architecture, Blocks, BuiltInPreprocessing, Options, Preprocessing};

/// An EfficientNetV2; [`efficientnet_v2_b0`] to [`efficientnet_v2_l`] build them.
#[derive(Clone, Debug)]
pub struct EfficientNetV2 {
    name: &'static str,
    width: f64,
    depth: f64,
    size: usize,
    stacks: &'static [Stack],
    /// Whether colours are brought to mean 0 and deviation 1, instead of all to −1..1.
    normalizes: bool,
}

/// A stack of blocks.
#[derive(Clone, Copy, Debug)]
struct Stack {
    /// Whether the widening convolution is 3×3 and takes the place of the depthwise one.
    fused: bool,
    repeats: usize,
    filters: usize,
    expansion: usize,
    stride: usize,
}

/// A stack whose blocks have a 3×3 convolution.
const fn fused(repeats: usize, filters: usize, expansion: usize, stride: usize) -> Stack {
    Stack {
        fused: true,
        repeats,
        filters,
        expansion,
        stride,
    }
}

/// A stack whose blocks have a depthwise convolution, and squeeze and excitation.
const fn depthwise(repeats: usize, filters: usize, expansion: usize, stride: usize) -> Stack {
    Stack {
        fused: false,
        repeats,
        filters,
        expansion,
        stride,
    }
}

const B: [Stack; 6] = [
    fused(1, 16, 1, 1),
    fused(2, 32, 4, 2),
    fused(2, 48, 4, 2),
    depthwise(3, 96, 4, 2),
    depthwise(5, 112, 6, 1),
    depthwise(8, 192, 6, 2),
];

const S: [Stack; 6] = [
    fused(2, 24, 1, 1),
    fused(4, 48, 4, 2),
    fused(4, 64, 4, 2),
    depthwise(6, 128, 4, 2),
    depthwise(9, 160, 6, 1),
    depthwise(15, 256, 6, 2),
];

const M: [Stack; 7] = [
    fused(3, 24, 1, 1),
    fused(5, 48, 4, 2),
    fused(5, 80, 4, 2),
    depthwise(7, 160, 4, 2),
    depthwise(14, 176, 6, 1),
    depthwise(18, 304, 6, 2),
    depthwise(5, 512, 6, 1),
];

const L: [Stack; 7] = [
    fused(4, 32, 1, 1),
    fused(7, 64, 4, 2),
    fused(7, 96, 4, 2),
    depthwise(10, 192, 4, 2),
    depthwise(19, 224, 6, 1),
    depthwise(25, 384, 6, 2),
    depthwise(7, 640, 6, 1),
];

/// Defines the function that builds one of them.
macro_rules! network {
    ($(#[$documentation:meta])* $function:ident, $name:literal, $width:literal, $depth:literal, $size:literal, $stacks:ident, $normalizes:literal) => {
        $(#[$documentation])*
        pub fn $function() -> Application<EfficientNetV2> {
            Application::new(EfficientNetV2 {
                name: $name,
                width: $width,
                depth: $depth,
                size: $size,
                stacks: &$stacks,
                normalizes: $normalizes,
            })
        }
    };
}

network!(
    /// EfficientNetV2B0: 7.2 million parameters, images of 224×224, at least 32×32 without top. It
    /// takes pixels from 0 to 255 and scales them itself, unless told otherwise.
    ///
    /// Tan and Le 2021, <https://arxiv.org/abs/2104.00298>.
    /// Keras: <https://keras.io/api/applications/efficientnet_v2/>.
    efficientnet_v2_b0, "efficientnetv2-b0", 1.0, 1.0, 224, B, true
);
network!(
    /// EfficientNetV2B1: as [`efficientnet_v2_b0`], 8.2 million parameters, images of 240×240.
    efficientnet_v2_b1, "efficientnetv2-b1", 1.0, 1.1, 240, B, true
);
network!(
    /// EfficientNetV2B2: as [`efficientnet_v2_b0`], 10.2 million parameters, images of 260×260.
    efficientnet_v2_b2, "efficientnetv2-b2", 1.1, 1.2, 260, B, true
);
network!(
    /// EfficientNetV2B3: as [`efficientnet_v2_b0`], 14.5 million parameters, images of 300×300.
    efficientnet_v2_b3, "efficientnetv2-b3", 1.2, 1.4, 300, B, true
);
network!(
    /// EfficientNetV2S: as [`efficientnet_v2_b0`], 21.6 million parameters, images of 384×384.
    efficientnet_v2_s, "efficientnetv2-s", 1.0, 1.0, 384, S, false
);
network!(
    /// EfficientNetV2M: as [`efficientnet_v2_b0`], 54.4 million parameters, images of 480×480.
    efficientnet_v2_m, "efficientnetv2-m", 1.0, 1.0, 480, M, false
);
network!(
    /// EfficientNetV2L: as [`efficientnet_v2_b0`], 119 million parameters, images of 480×480.
    efficientnet_v2_l, "efficientnetv2-l", 1.0, 1.0, 480, L, false
);

impl BuiltInPreprocessing for EfficientNetV2 {}

impl Architecture for EfficientNetV2 {
    fn name(&self, _options: &Options) -> String {
        self.name.to_string()
    }

    fn default_size(&self) -> usize {
        self.size
    }

    fn minimum_size(&self) -> usize {
        32
    }

    fn preprocessing(&self, options: &Options) -> Preprocessing {
        match (options.include_preprocessing, self.normalizes) {
            (true, _) => Preprocessing::BuiltIn,
            (false, true) => Preprocessing::Torch,
            (false, false) => Preprocessing::Scaled {
                scale: 1.0 / 128.0,
                offset: -1.0,
            },
        }
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
        let mut x = image;
        if options.include_preprocessing {
            x = self.preprocess(blocks, options, x)?;
        }
        let first = self.stacks.first().copied().unwrap_or(fused(1, 16, 1, 1));
        // The stem has as many filters as the first stack takes, which is 32 for the B networks.
        let stem = if self.normalizes { 32 } else { first.filters };
        x = blocks.apply("stem_conv", convolution(self.filters(stem), 3, 2), x)?;
        x = activate(blocks, "stem", x)?;
        let count: usize = self.stacks.iter().map(|stack| self.repeats(stack)).sum();
        let mut number = 0;
        for (position, stack) in self.stacks.iter().enumerate() {
            for block in 0..self.repeats(stack) {
                let name = block_name(position, block);
                let stack = Stack {
                    filters: self.filters(stack.filters),
                    stride: if block == 0 { stack.stride } else { 1 },
                    ..*stack
                };
                let drop_rate = 0.2 * number as f64 / count as f64;
                x = stack.block(blocks, &name, drop_rate, x)?;
                number += 1;
            }
        }
        x = blocks.apply("top_conv", convolution(self.filters(1280), 1, 1), x)?;
        activate(blocks, "top", x)
    }

    fn top(
        &self,
        blocks: &mut Blocks<'_>,
        features: LayerOutput,
        options: &Options,
    ) -> Result<LayerOutput> {
        top(blocks, 0.2, features, options)
    }
}

impl EfficientNetV2 {
    fn filters(&self, filters: usize) -> usize {
        nearest_multiple(filters as f64 * self.width, 8)
    }

    fn repeats(&self, stack: &Stack) -> usize {
        (self.depth * stack.repeats as f64).ceil() as usize
    }

    /// The scaling of pixels from 0 to 255.
    fn preprocess(
        &self,
        blocks: &mut Blocks<'_>,
        options: &Options,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        if !self.normalizes {
            return blocks.apply(None, Rescaling::new(1.0 / 128.0).offset(-1.0), x);
        }
        let x = blocks.apply(None, Rescaling::new(1.0 / 255.0), x)?;
        // Only colours have known means.
        if options.input_shape[2] != 3 {
            return Ok(x);
        }
        let variance = [0.229_f64, 0.224, 0.225].map(|deviation| (deviation * deviation) as f32);
        let normalization = Normalization::with([0.485, 0.456, 0.406], variance).axis([3]);
        blocks.apply(None, normalization, x)
    }
}

fn convolution(filters: usize, kernel: usize, stride: usize) -> Conv2D {
    Conv2D::new(filters, kernel)
        .strides(stride)
        .padding("same")
        .use_bias(false)
        .kernel_initializer(convolution_initializer())
}

fn batch_normalization() -> BatchNormalization {
    BatchNormalization::new().axis(3).momentum(0.9)
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

impl Stack {
    /// One block of it.
    fn block(
        &self,
        blocks: &mut Blocks<'_>,
        name: &str,
        drop_rate: f64,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        let channels = blocks.channels(x);
        let widened = channels * self.expansion;
        let mut y = x;
        if self.expansion != 1 {
            let expansion = match self.fused {
                true => convolution(widened, 3, self.stride),
                false => convolution(widened, 1, 1),
            };
            y = blocks.apply(format!("{name}_expand_conv"), expansion, y)?;
            y = activate(blocks, &format!("{name}_expand"), y)?;
        }
        if !self.fused {
            let depthwise = DepthwiseConv2D::new(3)
                .strides(self.stride)
                .padding("same")
                .use_bias(false)
                .depthwise_initializer(convolution_initializer());
            y = blocks.apply(format!("{name}_dwconv2"), depthwise, y)?;
            y = activate(blocks, name, y)?;
            y = squeeze_excite(blocks, name, (channels / 4).max(1), y)?;
        }
        // Without widening, the only convolution of a fused block does everything.
        let alone = self.fused && self.expansion == 1;
        let projection = match alone {
            true => convolution(self.filters, 3, self.stride),
            false => convolution(self.filters, 1, 1),
        };
        y = blocks.apply(format!("{name}_project_conv"), projection, y)?;
        y = match alone {
            true => activate(blocks, &format!("{name}_project"), y)?,
            false => blocks.apply(format!("{name}_project_bn"), batch_normalization(), y)?,
        };
        match self.stride == 1 && channels == self.filters {
            true => add(blocks, name, drop_rate, x, y),
            false => Ok(y),
        }
    }
}

//! EfficientNet-Lite: EfficientNet without squeeze and excitation and with ReLU6, for small devices.

use regraft_layers::layers::{BatchNormalization, Conv2D, DepthwiseConv2D, ReLU};
use regraft_layers::{LayerOutput, Result};

use super::blocks::{convolution_initializer, make_divisible};
use super::efficientnet::{STACKS, add, block_name, top};
use super::{Application, Architecture, Blocks, Options, Preprocessing};

/// An EfficientNet-Lite; [`efficientnet_lite0`] to [`efficientnet_lite4`] build them.
#[derive(Clone, Debug)]
pub struct EfficientNetLite {
    name: &'static str,
    width: f64,
    depth: f64,
    size: usize,
    dropout: f32,
}

/// Defines the function that builds one of them.
macro_rules! network {
    ($(#[$documentation:meta])* $function:ident, $name:literal, $width:literal, $depth:literal, $size:literal, $dropout:literal) => {
        $(#[$documentation])*
        pub fn $function() -> Application<EfficientNetLite> {
            Application::new(EfficientNetLite {
                name: $name,
                width: $width,
                depth: $depth,
                size: $size,
                dropout: $dropout,
            })
        }
    };
}

network!(
    /// EfficientNet-Lite0: 4.7 million parameters, images of 224×224, at least 32×32 without top.
    ///
    /// Keras does not have it. The layers have the names that Keras gives those of
    /// [`efficientnet_b0`](super::efficientnet_b0); its preprocessing is that of the weights for
    /// PyTorch. <https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite>.
    efficientnet_lite0, "efficientnet-lite0", 1.0, 1.0, 224, 0.2
);
network!(
    /// EfficientNet-Lite1: as [`efficientnet_lite0`], 5.4 million parameters, images of 240×240.
    efficientnet_lite1, "efficientnet-lite1", 1.0, 1.1, 240, 0.2
);
network!(
    /// EfficientNet-Lite2: as [`efficientnet_lite0`], 6.1 million parameters, images of 260×260.
    efficientnet_lite2, "efficientnet-lite2", 1.1, 1.2, 260, 0.3
);
network!(
    /// EfficientNet-Lite3: as [`efficientnet_lite0`], 8.2 million parameters, images of 280×280.
    efficientnet_lite3, "efficientnet-lite3", 1.2, 1.4, 280, 0.3
);
network!(
    /// EfficientNet-Lite4: as [`efficientnet_lite0`], 13 million parameters, images of 300×300.
    efficientnet_lite4, "efficientnet-lite4", 1.4, 1.8, 300, 0.3
);

impl Architecture for EfficientNetLite {
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
        Preprocessing::Torch
    }

    fn features(
        &self,
        blocks: &mut Blocks<'_>,
        image: LayerOutput,
        _options: &Options,
    ) -> Result<LayerOutput> {
        // The first and the last layers are not scaled, nor are the first and the last stack deepened.
        let x = blocks.apply("stem_conv", convolution(32, 3, 2), image)?;
        let mut x = activate(blocks, "stem", x)?;
        let last = STACKS.len() - 1;
        let repeats = |stack: usize, repeats: usize| match stack == 0 || stack == last {
            true => repeats,
            false => (self.depth * repeats as f64).ceil() as usize,
        };
        let stacks = STACKS.iter().enumerate();
        let count: usize = stacks.map(|(stack, of)| repeats(stack, of.1)).sum();
        let mut number = 0;
        for (stack, (kernel, wanted, filters, expansion, stride)) in STACKS.into_iter().enumerate()
        {
            for position in 0..repeats(stack, wanted) {
                let block = Block {
                    name: block_name(stack, position),
                    kernel,
                    filters: make_divisible(filters as f64 * self.width, 8),
                    expansion,
                    stride: if position == 0 { stride } else { 1 },
                    drop_rate: 0.2 * number as f64 / count as f64,
                };
                x = block.write(blocks, x)?;
                number += 1;
            }
        }
        let x = blocks.apply("top_conv", convolution(1280, 1, 1), x)?;
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

fn convolution(filters: usize, kernel: usize, stride: usize) -> Conv2D {
    Conv2D::new(filters, kernel)
        .strides(stride)
        .padding("same")
        .use_bias(false)
        .kernel_initializer(convolution_initializer())
}

/// Batch normalization and ReLU6.
fn activate(blocks: &mut Blocks<'_>, name: &str, x: LayerOutput) -> Result<LayerOutput> {
    let x = blocks.apply(format!("{name}_bn"), BatchNormalization::new(), x)?;
    blocks.apply(format!("{name}_activation"), ReLU::new().max_value(6.0), x)
}

/// A block that widens, convolves each channel, and narrows again.
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
        let mut y = x;
        if self.expansion != 1 {
            let expansion = convolution(channels * self.expansion, 1, 1);
            y = blocks.apply(format!("{name}_expand_conv"), expansion, y)?;
            y = activate(blocks, &format!("{name}_expand"), y)?;
        }
        let depthwise = DepthwiseConv2D::new(self.kernel)
            .strides(self.stride)
            .padding("same")
            .use_bias(false)
            .depthwise_initializer(convolution_initializer());
        y = blocks.apply(format!("{name}_dwconv"), depthwise, y)?;
        y = activate(blocks, name, y)?;
        y = blocks.apply(
            format!("{name}_project_conv"),
            convolution(self.filters, 1, 1),
            y,
        )?;
        y = blocks.apply(format!("{name}_project_bn"), BatchNormalization::new(), y)?;
        match self.stride == 1 && channels == self.filters {
            true => add(blocks, name, self.drop_rate, x, y),
            false => Ok(y),
        }
    }
}

//! PyTorch's modules as layers: where its conventions are, which differ from Keras'.

use regraft_layers::initializers::{Distribution, FanMode, VarianceScaling};
use regraft_layers::layers::{
    ActivationLayer, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D, Dense,
    DepthwiseConv2D, Dropout, GlobalAveragePooling2D, Identity, LayerNormalization, LayerScale,
    MaxPooling2D, Multiply, StochasticDepth, ZeroPadding2D,
};
use regraft_layers::{LayerOutput, Result};

use crate::applications::Blocks;

/// What is the same in all blocks of a network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conventions {
    /// What normalizations add to the variance.
    pub epsilon: f32,
    /// What the batch has of the moving statistics.
    pub momentum: f32,
    /// Whether borders are TensorFlow's, and not the same on both sides.
    pub same: bool,
    /// Of the features in front of the classifier.
    pub dropout: f32,
    /// Of the last branch; the others' are smaller.
    pub drop_path: f32,
}

/// Writes layers under the names that modules have in state dicts, so that these fit as they are.
pub(super) struct Torch<'b, 'f> {
    pub blocks: &'b mut Blocks<'f>,
    pub conventions: Conventions,
}

/// A convolution without bias; its border is the same on both sides, so many cells that stride 1 keeps the size.
#[derive(Clone, Copy)]
pub(super) struct Conv {
    filters: usize,
    kernel: [usize; 2],
    stride: usize,
    padding: [usize; 2],
    groups: usize,
    bias: bool,
}

impl Conv {
    pub fn new(filters: usize, kernel: usize) -> Self {
        Conv::of_window(filters, [kernel, kernel])
    }

    pub fn of_window(filters: usize, kernel: [usize; 2]) -> Self {
        Conv {
            filters,
            kernel,
            stride: 1,
            padding: kernel.map(|cells| (cells - 1) / 2),
            groups: 1,
            bias: false,
        }
    }

    pub fn stride(self, stride: usize) -> Self {
        Conv { stride, ..self }
    }

    pub fn padding(self, cells: usize) -> Self {
        let padding = [cells; 2];
        Conv { padding, ..self }
    }

    pub fn groups(self, groups: usize) -> Self {
        Conv { groups, ..self }
    }

    pub fn bias(self) -> Self {
        Conv { bias: true, ..self }
    }
}

/// The first values of convolutions, He's for what goes out.
fn convolution_initializer() -> VarianceScaling {
    VarianceScaling::new(2.0, FanMode::FanOut, Distribution::UntruncatedNormal)
}

/// The first values of linear layers: uniform up to 1 / √inputs.
fn linear_initializer() -> VarianceScaling {
    VarianceScaling::new(1.0 / 3.0, FanMode::FanIn, Distribution::Uniform)
}

/// A linear layer.
pub(super) fn linear(units: usize) -> Dense {
    Dense::new(units).kernel_initializer(linear_initializer())
}

impl Torch<'_, '_> {
    pub fn channels(&self, x: LayerOutput) -> usize {
        self.blocks.channels(x)
    }

    /// A convolution; with as many groups as channels it is one of each channel.
    pub fn conv(&mut self, name: &str, conv: Conv, mut x: LayerOutput) -> Result<LayerOutput> {
        let channels = self.channels(x);
        let keeps = conv.kernel.map(|cells| (cells - 1) / 2) == conv.padding;
        let odd = conv.kernel.iter().all(|cells| cells % 2 == 1);
        // TensorFlow's border has an odd cell behind; without strides there is none.
        let is_same = keeps && (self.conventions.same || conv.stride == 1 && odd);
        if !is_same && conv.padding != [0; 2] {
            let border = ZeroPadding2D::new(conv.padding.map(|cells| [cells; 2]));
            x = self.blocks.apply(format!("{name}.pad"), border, x)?;
        }
        let padding = if is_same { "same" } else { "valid" };
        if conv.groups > 1 && conv.groups == channels {
            let layer = DepthwiseConv2D::new(conv.kernel)
                .depth_multiplier(conv.filters / channels)
                .strides(conv.stride)
                .padding(padding)
                .use_bias(conv.bias)
                .depthwise_initializer(convolution_initializer());
            return self.blocks.apply(name, layer, x);
        }
        let layer = Conv2D::new(conv.filters, conv.kernel)
            .strides(conv.stride)
            .padding(padding)
            .groups(conv.groups)
            .use_bias(conv.bias)
            .kernel_initializer(convolution_initializer());
        self.blocks.apply(name, layer, x)
    }

    /// Batch normalization. PyTorch's momentum is what the batch has of the moving statistics.
    pub fn norm(&mut self, name: &str, x: LayerOutput) -> Result<LayerOutput> {
        let norm = BatchNormalization::new()
            .epsilon(self.conventions.epsilon)
            .momentum(1.0 - self.conventions.momentum)
            .unbiased(true);
        self.blocks.apply(name, norm, x)
    }

    /// Layer normalization over the channels.
    pub fn layer_norm(&mut self, name: &str, x: LayerOutput) -> Result<LayerOutput> {
        let norm = LayerNormalization::new().epsilon(self.conventions.epsilon);
        self.blocks.apply(name, norm, x)
    }

    pub fn act(&mut self, name: &str, function: &str, x: LayerOutput) -> Result<LayerOutput> {
        self.blocks.apply(name, ActivationLayer::new(function), x)
    }

    /// torchvision's `Conv2dNormActivation`: convolution `0`, normalization `1` and, if there is one,
    /// activation `2` of the module `name`.
    pub fn conv_norm_act(
        &mut self,
        name: &str,
        conv: Conv,
        activation: Option<&str>,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        let x = self.conv(&format!("{name}.0"), conv, x)?;
        let x = self.norm(&format!("{name}.1"), x)?;
        match activation {
            Some(activation) => self.act(&format!("{name}.2"), activation, x),
            None => Ok(x),
        }
    }

    pub fn linear(&mut self, name: &str, units: usize, x: LayerOutput) -> Result<LayerOutput> {
        self.blocks.apply(name, linear(units), x)
    }

    /// The input of the layer `name` with zeros around it, if there are to be any.
    fn bordered(&mut self, name: &str, padding: usize, x: LayerOutput) -> Result<LayerOutput> {
        match padding {
            0 => Ok(x),
            _ => self
                .blocks
                .apply(format!("{name}.pad"), ZeroPadding2D::new(padding), x),
        }
    }

    /// The largest of each window, with a border of zeros: for numbers that a ReLU gave, below which PyTorch's
    /// border of −∞ is, too.
    pub fn max_pool(
        &mut self,
        name: &str,
        [size, stride, padding]: [usize; 3],
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        let x = self.bordered(name, padding, x)?;
        let pool = MaxPooling2D::new(size).strides(stride);
        self.blocks.apply(name, pool, x)
    }

    /// The largest of each window, where the last ones may reach beyond the border (`ceil_mode`).
    pub fn max_pool_ceil(&mut self, name: &str, x: LayerOutput) -> Result<LayerOutput> {
        let behind = |size: usize| usize::from(size.is_multiple_of(2));
        let sizes = self.blocks.sizes(x);
        let [rows, columns] = [behind(sizes[0]), behind(sizes[1])];
        let border = ZeroPadding2D::new([[0, rows], [0, columns]]);
        let x = self.blocks.apply(format!("{name}.pad"), border, x)?;
        self.max_pool(name, [3, 2, 0], x)
    }

    /// The mean of each window, with a border of zeros, which count.
    pub fn mean_pool(
        &mut self,
        name: &str,
        [size, stride, padding]: [usize; 3],
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        let x = self.bordered(name, padding, x)?;
        let pool = AveragePooling2D::new(size).strides(stride);
        self.blocks.apply(name, pool, x)
    }

    /// Means of 2×2 cells; of those that there are at the end of an odd side (`ceil_mode`, without the border).
    pub fn halved(&mut self, name: &str, x: LayerOutput) -> Result<LayerOutput> {
        let pool = AveragePooling2D::new(2).strides(2).padding("same");
        self.blocks.apply(name, pool, x)
    }

    /// The mean of each channel, a row.
    pub fn global_pool(&mut self, name: &str, x: LayerOutput) -> Result<LayerOutput> {
        self.blocks.apply(name, GlobalAveragePooling2D::new(), x)
    }

    /// The mean of each channel, an image of one pixel.
    pub fn pool_to_pixel(&mut self, name: &str, x: LayerOutput) -> Result<LayerOutput> {
        let pool = GlobalAveragePooling2D::new().keep_dims(true);
        self.blocks.apply(name, pool, x)
    }

    /// The network's dropout, if it has any.
    pub fn dropout(&mut self, name: &str, x: LayerOutput) -> Result<LayerOutput> {
        match self.conventions.dropout {
            rate if rate > 0.0 => self.blocks.apply(name, Dropout::new(rate), x),
            _ => Ok(x),
        }
    }

    /// Leaves a branch out for some samples, the more the deeper it is: `share` of the network's rate.
    pub fn drop_path(&mut self, name: &str, share: f64, x: LayerOutput) -> Result<LayerOutput> {
        match f64::from(self.conventions.drop_path) * share {
            rate if rate > 0.0 => self
                .blocks
                .apply(name, StochasticDepth::new(rate as f32), x),
            _ => Ok(x),
        }
    }

    pub fn add(&mut self, name: &str, x: LayerOutput, y: LayerOutput) -> Result<LayerOutput> {
        self.blocks.merge(name, Add, &[x, y])
    }

    /// The output of a block under the block's name: with what went around it, if anything did.
    pub fn block_end(
        &mut self,
        name: &str,
        around: Option<LayerOutput>,
        y: LayerOutput,
    ) -> Result<LayerOutput> {
        match around {
            Some(x) => self.add(name, y, x),
            None => self.blocks.apply(name, Identity, y),
        }
    }

    pub fn concat(&mut self, name: &str, parts: &[LayerOutput]) -> Result<LayerOutput> {
        self.blocks.merge(name, Concatenate::new(), parts)
    }

    pub fn scale(&mut self, name: &str, x: LayerOutput) -> Result<LayerOutput> {
        let channels = self.channels(x);
        self.blocks.apply(name, LayerScale::new(1e-6, channels), x)
    }

    /// torchvision's inverted residual, but for what goes around it: widens if it has to, convolves each channel, weighs
    /// channels if it does, and narrows; parts `0`, `1`, … of the module `name.block`.
    pub fn inverted_residual(
        &mut self,
        name: &str,
        block: &Inverted<'_>,
        mut x: LayerOutput,
    ) -> Result<LayerOutput> {
        let mut parts = (0..).map(|part| format!("{name}.block.{part}"));
        let mut part = || parts.next().expect("numbers do not end");
        let (widened, activation) = (block.widened, Some(block.activation));
        if widened != self.channels(x) {
            x = self.conv_norm_act(&part(), Conv::new(widened, 1), activation, x)?;
        }
        let depthwise = Conv::new(widened, block.kernel)
            .stride(block.stride)
            .groups(widened);
        x = self.conv_norm_act(&part(), depthwise, activation, x)?;
        if let Some(gate) = &block.gate {
            x = self.squeeze_excite(&part(), gate, x)?;
        }
        self.conv_norm_act(&part(), Conv::new(block.filters, 1), None, x)
    }

    /// Weighs each channel by what the means of all channels say.
    pub fn squeeze_excite(
        &mut self,
        name: &str,
        gate: &Gate<'_>,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        let channels = self.channels(x);
        let named = |part: &str| format!("{name}.{part}");
        let [reduce, expand] = gate.names;
        let y = self.pool_to_pixel(&named("avgpool"), x)?;
        let y = self.conv(&named(reduce), Conv::new(gate.reduced, 1).bias(), y)?;
        let y = self.act(&named("activation"), gate.activation, y)?;
        let y = self.conv(&named(expand), Conv::new(channels, 1).bias(), y)?;
        let y = self.act(&named("scale_activation"), gate.scale_activation, y)?;
        self.blocks.merge(name, Multiply, &[x, y])
    }
}

/// What [`Torch::inverted_residual`] is like.
pub(super) struct Inverted<'n> {
    /// The channels within.
    pub widened: usize,
    /// Of the convolution of each channel.
    pub kernel: usize,
    pub stride: usize,
    pub filters: usize,
    pub activation: &'n str,
    /// Where channels are weighed.
    pub gate: Option<Gate<'n>>,
}

/// What [`Torch::squeeze_excite`] is like.
pub(super) struct Gate<'n> {
    /// What its two convolutions are called.
    pub names: [&'n str; 2],
    pub reduced: usize,
    pub activation: &'n str,
    pub scale_activation: &'n str,
}

/// torchvision's names of the two convolutions.
pub(super) const FC: [&str; 2] = ["fc1", "fc2"];

//! What the Inception networks are made of: branches of convolutions side by side, each convolution
//! with batch norm and ReLU, under Keras' automatic names.

use regraft_layers::layers::{
    AveragePooling2D, BatchNormalization, Concatenate, Conv2D, MaxPooling2D,
};
use regraft_layers::{ActivationLayer, LayerOutput, Result};

use super::Blocks;
use super::blocks::LayerName;

/// One convolution: filters, and rows and columns of the kernel.
pub(super) type Kernel = (usize, [usize; 2]);

/// Convolution without bias, batch norm without scale, ReLU.
pub(super) fn convolution(
    blocks: &mut Blocks<'_>,
    x: LayerOutput,
    layer: Conv2D,
) -> Result<LayerOutput> {
    let x = blocks.apply(None, layer.use_bias(false), x)?;
    let norm = BatchNormalization::new().axis(3).scale(false);
    let x = blocks.apply(None, norm, x)?;
    blocks.apply(None, ActivationLayer::new("relu"), x)
}

/// A chain of convolutions with padding `same`.
pub(super) fn branch(
    blocks: &mut Blocks<'_>,
    x: LayerOutput,
    kernels: &[Kernel],
) -> Result<LayerOutput> {
    kernels.iter().try_fold(x, |x, &(filters, kernel_size)| {
        convolution(blocks, x, Conv2D::new(filters, kernel_size).padding("same"))
    })
}

/// A branch whose last convolution, 3×3 with these filters, halves the image.
pub(super) fn halving_branch(
    blocks: &mut Blocks<'_>,
    x: LayerOutput,
    kernels: &[Kernel],
    filters: usize,
) -> Result<LayerOutput> {
    let x = branch(blocks, x, kernels)?;
    convolution(blocks, x, Conv2D::new(filters, 3).strides(2))
}

/// Average pooling that keeps the size, and a 1×1 convolution.
pub(super) fn pooled_branch(
    blocks: &mut Blocks<'_>,
    x: LayerOutput,
    filters: usize,
) -> Result<LayerOutput> {
    let pooling = AveragePooling2D::new(3).strides(1).padding("same");
    let x = blocks.apply(None, pooling, x)?;
    branch(blocks, x, &[(filters, [1, 1])])
}

/// Max pooling that halves the image.
pub(super) fn halving_pooling(blocks: &mut Blocks<'_>, x: LayerOutput) -> Result<LayerOutput> {
    blocks.apply(None, MaxPooling2D::new(3).strides(2), x)
}

/// The channels of all branches after one another.
pub(super) fn concatenate(
    blocks: &mut Blocks<'_>,
    name: impl Into<LayerName>,
    branches: &[LayerOutput],
) -> Result<LayerOutput> {
    blocks.merge(name, Concatenate::new().axis(3), branches)
}

/// The first layers of both networks: from the image to 192 channels at an eighth of the size.
pub(super) fn stem(blocks: &mut Blocks<'_>, image: LayerOutput) -> Result<LayerOutput> {
    let x = convolution(blocks, image, Conv2D::new(32, 3).strides(2))?;
    let x = convolution(blocks, x, Conv2D::new(32, 3))?;
    let x = branch(blocks, x, &[(64, [3, 3])])?;
    let x = halving_pooling(blocks, x)?;
    let x = convolution(blocks, x, Conv2D::new(80, 1))?;
    let x = convolution(blocks, x, Conv2D::new(192, 3))?;
    halving_pooling(blocks, x)
}

/// The first block of both networks: 1×1, 5×5 and twice 3×3 convolutions and a pooling; `first` and
/// `last` are the filters of the first branch and of that with the pooling.
pub(super) fn first_block(
    blocks: &mut Blocks<'_>,
    name: &str,
    x: LayerOutput,
    [first, last]: [usize; 2],
) -> Result<LayerOutput> {
    let branches = [
        branch(blocks, x, &[(first, [1, 1])])?,
        branch(blocks, x, &[(48, [1, 1]), (64, [5, 5])])?,
        branch(blocks, x, &[(64, [1, 1]), (96, [3, 3]), (96, [3, 3])])?,
        pooled_branch(blocks, x, last)?,
    ];
    concatenate(blocks, name, &branches)
}

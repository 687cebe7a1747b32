//! NASNet: two kinds of cells that a search found, one that keeps the image's size and one that halves
//! it.

use regraft_layers::layers::{
    Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D, Cropping2D,
    GlobalAveragePooling2D, MaxPooling2D, SeparableConv2D, ZeroPadding2D,
};
use regraft_layers::{ActivationLayer, LayerOutput, Result};

use super::weights::file::WeightsFile;
use super::weights::keras_files::keras_file;
use super::{Application, Architecture, Blocks, Options, Preprocessing};

/// NASNet.
///
/// Every cell has two inputs, the outputs of the cell before it and of the one before that. Five
/// pairs of separable convolutions and poolings of them are added, and the sums concatenated.
///
/// Source: Zoph et al., <https://arxiv.org/abs/1707.07012>;
/// Keras: <https://keras.io/api/applications/nasnet/>.
#[derive(Clone, Copy, Debug)]
pub struct NasNet {
    name: &'static str,
    size: usize,
    stem_filters: usize,
    /// Of the cells at the largest size.
    filters: usize,
    /// Cells between two that halve the image.
    cells: usize,
    /// Whether the cell after one that halves the image sees the input but one of that, instead of
    /// its input.
    skips_reduction: bool,
}

/// NASNet for small devices, 5.3 million parameters.
pub fn nasnet_mobile() -> Application<NasNet> {
    Application::new(NasNet {
        name: "nasnet_mobile",
        size: 224,
        stem_filters: 32,
        filters: 44,
        cells: 4,
        skips_reduction: false,
    })
}

/// The large NASNet, 88.9 million parameters.
///
/// Without `input_shape`, its images are 331×331 also if the top is left off. Keras then leaves the
/// size open, and so cannot see where the cells' inputs differ in size: it builds other layers.
pub fn nasnet_large() -> Application<NasNet> {
    Application::new(NasNet {
        name: "nasnet_large",
        size: 331,
        stem_filters: 96,
        filters: 168,
        cells: 6,
        skips_reduction: true,
    })
}

impl Architecture for NasNet {
    fn name(&self, _: &Options) -> String {
        self.name.to_string()
    }

    fn default_size(&self) -> usize {
        self.size
    }

    fn minimum_size(&self) -> usize {
        32
    }

    fn preprocessing(&self, _: &Options) -> Preprocessing {
        Preprocessing::Tf
    }

    fn imagenet_weights(&self, options: &Options) -> Option<WeightsFile> {
        keras_file(self.name, "", options)
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
        let stem = Conv2D::new(self.stem_filters, 3).strides(2);
        let stem = stem.use_bias(false).kernel_initializer("he_normal");
        let x = blocks.apply("stem_conv1", stem, image)?;
        let mut x = blocks.apply("stem_bn1", norm(), x)?;
        // The input of the cell before.
        let mut previous = x;
        for (filters, id) in [(self.filters / 4, "stem_1"), (self.filters / 2, "stem_2")] {
            let output = Cell::new(blocks, filters, id).reduction(x, previous)?;
            (previous, x) = (x, output);
        }
        for stage in 0..3 {
            let filters = self.filters << stage;
            let first = stage * self.cells;
            if stage > 0 {
                let id = format!("reduce_{first}");
                let output = Cell::new(blocks, filters, &id).reduction(x, previous)?;
                if !self.skips_reduction {
                    previous = x;
                }
                x = output;
            }
            for cell in 0..self.cells {
                // The number after a reduction is left out.
                let id = (first + cell + usize::from(stage > 0)).to_string();
                let output = Cell::new(blocks, filters, &id).normal(x, previous)?;
                (previous, x) = (x, output);
            }
        }
        blocks.apply(None, ActivationLayer::new("relu"), x)
    }

    fn top(
        &self,
        blocks: &mut Blocks<'_>,
        features: LayerOutput,
        options: &Options,
    ) -> Result<LayerOutput> {
        let pooled = blocks.apply(None, GlobalAveragePooling2D::new(), features)?;
        blocks.predictions(pooled, options)
    }
}

/// A cell on its way into the network; its name ends those of its layers.
struct Cell<'c, 'f> {
    blocks: &'c mut Blocks<'f>,
    id: &'c str,
    filters: usize,
}

impl<'c, 'f> Cell<'c, 'f> {
    fn new(blocks: &'c mut Blocks<'f>, filters: usize, id: &'c str) -> Self {
        Cell {
            blocks,
            id,
            filters,
        }
    }

    /// A cell that keeps the size.
    fn normal(mut self, x: LayerOutput, previous: LayerOutput) -> Result<LayerOutput> {
        let p = self.adjust(previous, x)?;
        let h = self.squeeze("normal", x)?;
        let left = self.separable("normal_left1", 5, 1, h)?;
        let right = self.separable("normal_right1", 3, 1, p)?;
        let first = self.add("normal_add_1", left, right)?;
        let left = self.separable("normal_left2", 5, 1, p)?;
        let right = self.separable("normal_right2", 3, 1, p)?;
        let second = self.add("normal_add_2", left, right)?;
        let left = self.apply("normal_left3", mean(), h)?;
        let third = self.add("normal_add_3", left, p)?;
        let left = self.apply("normal_left4", mean(), p)?;
        let right = self.apply("normal_right4", mean(), p)?;
        let fourth = self.add("normal_add_4", left, right)?;
        let left = self.separable("normal_left5", 3, 1, h)?;
        let fifth = self.add("normal_add_5", left, h)?;
        self.concatenate("normal_concat", &[p, first, second, third, fourth, fifth])
    }

    /// A cell that halves the size.
    fn reduction(mut self, x: LayerOutput, previous: LayerOutput) -> Result<LayerOutput> {
        let p = self.adjust(previous, x)?;
        let h = self.squeeze("reduction", x)?;
        let padding = ZeroPadding2D::new(self.blocks.border(h, 3));
        let padded = self.apply("reduction_pad_1", padding, h)?;
        let left = self.separable("reduction_left1", 5, 2, h)?;
        let right = self.separable("reduction_right1", 7, 2, p)?;
        let first = self.add("reduction_add_1", left, right)?;
        let halving = || MaxPooling2D::new(3).strides(2);
        let left = self.apply("reduction_left2", halving(), padded)?;
        let right = self.separable("reduction_right2", 7, 2, p)?;
        let second = self.add("reduction_add_2", left, right)?;
        let left = self.apply(
            "reduction_left3",
            AveragePooling2D::new(3).strides(2),
            padded,
        )?;
        let right = self.separable("reduction_right3", 5, 2, p)?;
        let third = self.add("reduction_add3", left, right)?;
        let fourth = self.apply("reduction_left4", mean(), first)?;
        let fourth = self.blocks.merge(None, Add, &[second, fourth])?;
        let left = self.separable("reduction_left4", 3, 1, first)?;
        let right = self.apply("reduction_right5", halving(), padded)?;
        let fifth = self.add("reduction_add4", left, right)?;
        self.concatenate("reduction_concat", &[second, third, fourth, fifth])
    }

    /// `previous` with the size of `x` and the cell's channels.
    fn adjust(&mut self, previous: LayerOutput, x: LayerOutput) -> Result<LayerOutput> {
        if previous == x {
            return Ok(previous);
        }
        // Keras compares the columns only.
        let columns = |x| self.blocks.sizes(x).get(1).copied();
        let adjusted = if columns(previous) != columns(x) {
            // Every second pixel, and beside it every second pixel of the image moved by one.
            let even = self.apply("adjust_relu_1", relu(), previous)?;
            let odd = self
                .blocks
                .apply(None, ZeroPadding2D::new([[0, 1], [0, 1]]), even)?;
            let odd = self
                .blocks
                .apply(None, Cropping2D::new([[1, 0], [1, 0]]), odd)?;
            let every_second = || AveragePooling2D::new(1).strides(2);
            let half = self.filters / 2;
            let even = self.apply("adjust_avg_pool_1", every_second(), even)?;
            let even = self.apply("adjust_conv_1", pointwise(half), even)?;
            let odd = self.apply("adjust_avg_pool_2", every_second(), odd)?;
            let odd = self.apply("adjust_conv_2", pointwise(half), odd)?;
            self.blocks.merge(None, Concatenate::new(), &[even, odd])?
        } else if self.blocks.channels(previous) != self.filters {
            let y = self.blocks.apply(None, relu(), previous)?;
            self.apply("adjust_conv_projection", pointwise(self.filters), y)?
        } else {
            return Ok(previous);
        };
        self.apply("adjust_bn", norm(), adjusted)
    }

    /// A 1×1 convolution to the cell's channels.
    fn squeeze(&mut self, kind: &str, x: LayerOutput) -> Result<LayerOutput> {
        let x = self.blocks.apply(None, relu(), x)?;
        let x = self.apply(&format!("{kind}_conv_1"), pointwise(self.filters), x)?;
        self.apply(&format!("{kind}_bn_1"), norm(), x)
    }

    /// Two separable convolutions, of which the first moves by `stride`.
    fn separable(
        &mut self,
        at: &str,
        kernel_size: usize,
        stride: usize,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        let layer = || SeparableConv2D::new(self.filters, kernel_size).use_bias(false);
        let (mut first, second) = (layer(), layer().padding("same"));
        let mut y = self.blocks.apply(None, relu(), x)?;
        if stride == 2 {
            let padding = ZeroPadding2D::new(self.blocks.border(x, kernel_size));
            y = self.apply(&format!("separable_conv_1_pad_{at}"), padding, y)?;
            first = first.strides(2);
        } else {
            first = first.padding("same");
        }
        y = self.apply(&format!("separable_conv_1_{at}"), first, y)?;
        y = self.apply(&format!("separable_conv_1_bn_{at}"), norm(), y)?;
        y = self.blocks.apply(None, relu(), y)?;
        y = self.apply(&format!("separable_conv_2_{at}"), second, y)?;
        self.apply(&format!("separable_conv_2_bn_{at}"), norm(), y)
    }

    fn apply(
        &mut self,
        name: &str,
        layer: impl Into<regraft_layers::LayerSpec>,
        x: LayerOutput,
    ) -> Result<LayerOutput> {
        self.blocks.apply(format!("{name}_{}", self.id), layer, x)
    }

    fn add(&mut self, name: &str, left: LayerOutput, right: LayerOutput) -> Result<LayerOutput> {
        let name = format!("{name}_{}", self.id);
        self.blocks.merge(name, Add, &[left, right])
    }

    fn concatenate(&mut self, name: &str, parts: &[LayerOutput]) -> Result<LayerOutput> {
        let name = format!("{name}_{}", self.id);
        self.blocks.merge(name, Concatenate::new(), parts)
    }
}

fn relu() -> ActivationLayer {
    ActivationLayer::new("relu")
}

fn norm() -> BatchNormalization {
    BatchNormalization::new().momentum(0.9997)
}

fn pointwise(filters: usize) -> Conv2D {
    let layer = Conv2D::new(filters, 1).padding("same").use_bias(false);
    layer.kernel_initializer("he_normal")
}

/// The mean of 3×3 pixels around each.
fn mean() -> AveragePooling2D {
    AveragePooling2D::new(3).strides(1).padding("same")
}

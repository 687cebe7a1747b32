//! A kernel in the order in which the convolution reads it, and the choice of the way to compute.

use super::depthwise;
use super::direct::Direct;
use super::geometry::{Geometry, OutputLayout};
use super::{ConvolutionSizes, KernelShape};
use crate::kernels::matmul::{Epilogue, Matrix, PackedMatrix};

/// A kernel copied once into the order in which the convolution reads it, for one that stays: that
/// of a frozen layer.
///
/// The order depends on the machine, so a packed kernel is kept in memory only.
#[derive(Clone, Debug)]
pub struct PackedKernel(Packed);

#[derive(Clone, Debug)]
enum Packed {
    /// A matrix for each group.
    Groups(Vec<PackedMatrix>),
    /// As it lies: `[window, channels · multiplier]`.
    Depthwise(Vec<f32>),
}

impl PackedKernel {
    /// The elements as they are packed, which is another order on other machines.
    pub fn arrays(&self) -> impl Iterator<Item = &[f32]> {
        let (groups, whole) = match &self.0 {
            Packed::Groups(groups) => (groups.as_slice(), None),
            Packed::Depthwise(whole) => (&[][..], Some(whole.as_slice())),
        };
        groups.iter().map(PackedMatrix::panels).chain(whole)
    }

    /// Packs `kernel`, which has this shape.
    ///
    /// # Panics
    /// If its length contradicts the shape.
    pub fn new(shape: &KernelShape, kernel: &[f32]) -> Self {
        assert_eq!(
            kernel.len(),
            shape.len(),
            "convolution: length of the kernel"
        );
        if shape.is_depthwise() {
            return PackedKernel(Packed::Depthwise(kernel.to_vec()));
        }
        let pack = |group: usize| {
            PackedMatrix::new(Matrix {
                data: kernel
                    .get(group * shape.group_filters()..)
                    .unwrap_or_default(),
                rows: shape.window.cells() * shape.group_channels(),
                columns: shape.group_filters(),
                row_stride: shape.filters,
                column_stride: 1,
            })
        };
        PackedKernel(Packed::Groups((0..shape.groups.max(1)).map(pack).collect()))
    }

    /// The number of elements in memory.
    pub fn elements(&self) -> usize {
        match &self.0 {
            Packed::Depthwise(kernel) => kernel.len(),
            Packed::Groups(groups) => groups.iter().map(PackedMatrix::elements).sum(),
        }
    }

    /// See [`super::convolution_fused`], which has checked the sizes.
    pub(super) fn apply(
        &self,
        sizes: &ConvolutionSizes,
        x: &[f32],
        y: &mut [f32],
        epilogue: &Epilogue<'_>,
        residual: Option<&[f32]>,
    ) {
        let shape = &sizes.kernel;
        let groups = match &self.0 {
            Packed::Depthwise(kernel) => {
                let Some(residual) = residual else {
                    return depthwise::convolution(sizes, x, kernel, y, epilogue);
                };
                let (early, late) = epilogue.around_residual();
                depthwise::convolution(sizes, x, kernel, y, &early);
                for (y, residual) in y.iter_mut().zip(residual) {
                    *y += residual;
                }
                return late.apply_row(y, 0);
            }
            Packed::Groups(groups) => groups,
        };
        assert_eq!(
            groups.len(),
            shape.groups,
            "convolution: groups of the packed kernel"
        );
        let filters = shape.group_filters();
        for (group, kernel) in groups.iter().enumerate() {
            let direct = Direct {
                geometry: Geometry::of(sizes),
                pixel: shape.channels,
                first_channel: group * shape.group_channels(),
                channels: shape.group_channels(),
                kernel,
                layout: OutputLayout {
                    first: group * filters,
                    ..OutputLayout::dense(sizes.output, shape.filters)
                },
                epilogue: Epilogue {
                    bias: epilogue
                        .bias
                        .map(|bias| &bias[group * filters..][..filters]),
                    ..*epilogue
                },
                residual,
            };
            direct.run(x, y);
        }
    }
}

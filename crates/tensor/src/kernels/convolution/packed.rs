//! A kernel in the order in which the convolution reads it, and the choice of the way to compute.

use super::Convolution;
use super::depthwise;
use super::direct::{Direct, Place};
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
    /// Packs `kernel` for convolutions of these sizes; the number of samples and the spatial sizes
    /// do not matter.
    ///
    /// # Panics
    /// If its length contradicts the sizes.
    pub fn new(sizes: &Convolution, kernel: &[f32]) -> Self {
        assert_eq!(
            kernel.len(),
            sizes.kernel_len(),
            "convolution: length of the kernel"
        );
        if sizes.groups == sizes.channels && sizes.groups > 1 {
            return PackedKernel(Packed::Depthwise(kernel.to_vec()));
        }
        let groups = sizes.groups.max(1);
        let filters = sizes.filters / groups;
        let rows = sizes.window.cells() * sizes.channels / groups;
        let pack = |group: usize| {
            PackedMatrix::new(Matrix {
                data: kernel.get(group * filters..).unwrap_or_default(),
                rows,
                columns: filters,
                row_stride: sizes.filters,
                column_stride: 1,
            })
        };
        PackedKernel(Packed::Groups((0..groups).map(pack).collect()))
    }

    /// See [`super::convolution_fused`], which has checked the sizes.
    pub(super) fn apply(
        &self,
        sizes: &Convolution,
        x: &[f32],
        y: &mut [f32],
        epilogue: &Epilogue<'_>,
    ) {
        let groups = match &self.0 {
            Packed::Depthwise(kernel) => {
                return depthwise::convolution(sizes, x, kernel, y, epilogue);
            }
            Packed::Groups(groups) => groups,
        };
        assert_eq!(
            groups.len(),
            sizes.groups,
            "convolution: groups of the packed kernel"
        );
        let (channels, filters) = (sizes.channels / sizes.groups, sizes.filters / sizes.groups);
        let [depth, height, width] = sizes.output;
        for (group, kernel) in groups.iter().enumerate() {
            let direct = Direct {
                samples: sizes.samples,
                input: sizes.input,
                cell: sizes.channels,
                first_channel: group * channels,
                channels,
                taps: sizes.window.size,
                strides: sizes.window.strides,
                dilation: sizes.window.dilation,
                before: sizes.window.padding.map(|(before, _)| before as isize),
                output: sizes.output,
                kernel,
                place: Place {
                    first: group * filters,
                    sample: depth * height * width * sizes.filters,
                    axes: [height * width, width, 1].map(|cells| cells * sizes.filters),
                },
                epilogue: Epilogue {
                    bias: epilogue
                        .bias
                        .map(|bias| &bias[group * filters..][..filters]),
                    ..*epilogue
                },
            };
            // SAFETY: the output's cells lie one after the other in `y`, which is as long as all of
            // them, each with the filters of all groups.
            unsafe { direct.run(x, y.as_mut_ptr()) };
        }
    }
}

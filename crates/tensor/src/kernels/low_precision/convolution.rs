//! A convolution or product in low precision: looks whether what it is given fits, and chooses the kernels.

use super::gather::{Input, Rounding};
use super::product::{Finish, Product, Shared};
use super::tile::{bfloat16, int8};
use super::weights::{Ending, Kind, Weights};
use super::{Target, Values, depthwise, words_of_bytes};
use crate::kernels::convolution::ConvolutionSizes;
use crate::kernels::convolution::geometry::Geometry;
use crate::kernels::isa::Isa;
use crate::kernels::matmul::EpilogueActivation;
use crate::kernels::parallel::SharedMut;

/// `y = activation(convolution + bias + residual)` with weights of low precision. `x` is rounded as `ending` was made
/// for; `residual` and `y` have the result's shape.
///
/// # Panics
/// If sizes and slices contradict each other, the weights are of another shape, or `x` was rounded in another way.
pub fn convolution(
    sizes: &ConvolutionSizes,
    x: Values<'_>,
    (weights, ending): (&Weights, &Ending),
    residual: Option<Values<'_>>,
    activation: EpilogueActivation,
    y: Target<'_>,
) {
    let shape = &sizes.kernel;
    assert_eq!(
        shape,
        weights.shape(),
        "low precision: shape of the weights"
    );
    let expected = ConvolutionSizes::new(sizes.samples, sizes.input, *shape);
    assert_eq!(expected, Some(*sizes), "low precision: output size");
    let rounding = ending.input.map_or(Rounding::Bfloat16, Rounding::Bytes);
    let pixels = |spatial: [usize; 3]| sizes.samples * spatial.iter().product::<usize>();
    let fits = |values: &Values<'_>, pixels: usize, channels: usize| match values {
        Values::F32(values) => values.len() == pixels * channels,
        Values::Bytes(words, _) => words.len() == pixels * words_of_bytes(channels),
    };
    assert!(
        fits(&x, pixels(sizes.input), shape.channels),
        "low precision: length of the input"
    );
    if let Values::Bytes(_, quantization) = x {
        assert_eq!(ending.input, Some(quantization), "low precision: rounding");
    }
    let outputs = pixels(sizes.output);
    assert!(
        residual.is_none_or(|residual| fits(&residual, outputs, shape.filters)),
        "low precision: length of the residual"
    );
    if outputs == 0 {
        return;
    }
    let y = match y {
        Target::F32(y) => {
            assert_eq!(y.len(), outputs * shape.filters, "low precision: result");
            Shared::F32(SharedMut::new(y))
        }
        Target::Bytes(y, quantization) => {
            let words = words_of_bytes(shape.filters);
            assert_eq!(y.len(), outputs * words, "low precision: result");
            if !shape.filters.is_multiple_of(4) {
                // What fills up the last word of a pixel.
                y.fill(0);
            }
            let bytes = SharedMut::new(bytemuck::cast_slice_mut(y));
            Shared::Bytes(bytes, quantization, 4 * words)
        }
    };
    let product = Product {
        input: Input {
            geometry: flat(&Geometry::of(sizes)),
            channels: shape.channels,
            values: x,
            rounding,
        },
        finish: Finish {
            filters: shape.filters,
            ending,
            residual,
            activation,
            y,
        },
    };
    let isa = Isa::detect();
    match weights.kind() {
        Kind::Int8 { panels, .. } => product.run(isa, int8(isa), panels),
        Kind::Bfloat16 { panels } => product.run(isa, bfloat16(isa), panels),
        Kind::Depthwise { blocks, .. } => depthwise::run(&product, isa, blocks),
    }
}

/// Slices as samples, and one long row of the pixels of a window with one tap that moves by one.
fn flat(geometry: &Geometry) -> Geometry {
    let mut geometry = *geometry;
    geometry.samples *= geometry.input[0];
    (geometry.input[0], geometry.output[0]) = (1, 1);
    let plain = geometry.taps == [1; 3]
        && geometry.strides == [1; 3]
        && geometry.before == [0; 3]
        && geometry.output == geometry.input;
    if plain {
        let pixels = [
            1,
            1,
            geometry.samples * geometry.input[1] * geometry.input[2],
        ];
        geometry.samples = 1;
        (geometry.input, geometry.output) = (pixels, pixels);
    }
    geometry
}

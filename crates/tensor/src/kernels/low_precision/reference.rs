//! The same numbers from their formulas, one by one: what the kernels are tested against.

use super::weights::{Ending, bfloat16, is_depthwise};
use super::{Quantization, Values};
use crate::kernels::convolution::ConvolutionSizes;
use crate::kernels::matmul::{Epilogue, EpilogueActivation};

/// `y = activation(sum · scale + offset + residual)` over the weights before they are rounded, as floats; `x` and
/// `residual` may be of bytes.
pub fn reference(
    sizes: &ConvolutionSizes,
    x: Values<'_>,
    weights: &[f32],
    ending: &Ending,
    residual: Option<Values<'_>>,
    activation: EpilogueActivation,
) -> Vec<f32> {
    let shape = &sizes.kernel;
    let (channels, filters) = (shape.channels, shape.filters);
    let depthwise = is_depthwise(shape);
    let largest = |filter: usize| {
        let weights = weights.iter().skip(filter).step_by(filters);
        weights.fold(0.0_f32, |largest, weight| largest.max(weight.abs()))
    };
    let steps: Vec<f32> = (0..filters).map(|filter| largest(filter) / 127.0).collect();
    let byte_of = |values: &Values<'_>, pixel: usize, width: usize, at: usize, q: Quantization| {
        i64::from(match values {
            Values::F32(values) => q.byte(values[pixel * width + at]),
            Values::Bytes(words, _) => {
                let word = words[pixel * super::words_of_bytes(width) + at / 4];
                (word >> (8 * (at % 4))) as u8
            }
        })
    };
    let window = &shape.window;
    let [depths, rows, columns] = sizes.output;
    let mut y = Vec::new();
    for pixel in 0..sizes.samples * depths * rows * columns {
        let at = [
            pixel / columns / rows % depths,
            pixel / columns % rows,
            pixel % columns,
        ];
        let sample = pixel / columns / rows / depths;
        // The input pixel of each tap, in order; none outside.
        let taps: Vec<Option<usize>> = (0..window.cells())
            .map(|tap| {
                let [_, high, wide] = window.size;
                let tap = [tap / wide / high, tap / wide % high, tap % wide];
                let mut pixel = sample;
                for axis in 0..3 {
                    let place = (at[axis] * window.strides[axis]
                        + tap[axis] * window.dilation[axis])
                        .checked_sub(window.padding[axis].0)?;
                    if place >= sizes.input[axis] {
                        return None;
                    }
                    pixel = pixel * sizes.input[axis] + place;
                }
                Some(pixel)
            })
            .collect();
        let mut row = Vec::new();
        for filter in 0..filters {
            let seen = match depthwise {
                true => filter..filter + 1,
                false => 0..channels,
            };
            let weight = |tap: usize, channel: usize| match depthwise {
                true => weights[tap * filters + filter],
                false => weights[(tap * channels + channel) * filters + filter],
            };
            let sum = match ending.input {
                Some(quantization) => {
                    let mut sum = 0_i64;
                    for (tap, &from) in taps.iter().enumerate() {
                        for channel in seen.clone() {
                            let x = from.map_or(i64::from(quantization.zero()), |from| {
                                byte_of(&x, from, channels, channel, quantization)
                            });
                            let step = if steps[filter] > 1e-32 {
                                steps[filter]
                            } else {
                                1.0
                            };
                            let weight = (weight(tap, channel) / step).round_ties_even();
                            sum += x * weight.clamp(-127.0, 127.0) as i64;
                        }
                    }
                    sum as f32
                }
                None => {
                    let round = |x: f32| f32::from_bits(u32::from(bfloat16(x)) << 16);
                    let Values::F32(x) = x else {
                        panic!("bfloat16 takes floats");
                    };
                    let mut sum = 0.0_f32;
                    for (tap, &from) in taps.iter().enumerate() {
                        for pair in (0..channels).step_by(2) {
                            for channel in [pair + 1, pair] {
                                if let (Some(from), true) = (from, channel < channels) {
                                    let x = round(x[from * channels + channel]);
                                    sum += x * round(weight(tap, channel));
                                }
                            }
                        }
                    }
                    sum
                }
            };
            let mut number = sum * ending.scale[filter] + ending.offset[filter];
            match residual {
                None => {}
                Some(Values::F32(residual)) => number += residual[pixel * filters + filter],
                Some(Values::Bytes(words, q)) => {
                    let byte = byte_of(&Values::Bytes(words, q), pixel, filters, filter, q);
                    number += (byte - i64::from(q.zero())) as f32 * q.step();
                }
            }
            row.push(number);
        }
        Epilogue {
            bias: None,
            activation,
        }
        .apply_row(&mut row, 0);
        y.extend(row);
    }
    y
}

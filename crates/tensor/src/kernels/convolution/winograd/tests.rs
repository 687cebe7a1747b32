//! Against the same arithmetic written plainly, bit for bit, and against the convolution itself within bounds.

use proptest::prelude::*;

use super::super::{convolution_fused, reference};
use super::transforms::transformed_kernel;
use super::{WinogradKernel, winograd};
use crate::kernels::convolution::{ConvolutionSizes, KernelShape, PackedKernel};
use crate::kernels::isa::Isa;
use crate::kernels::matmul::{Epilogue, EpilogueActivation};
use crate::kernels::on_one_thread;
use crate::kernels::random::{Key, normal};
use crate::kernels::window::Window;

fn numbers(stream: u64, length: usize) -> Vec<f32> {
    let mut values = vec![0.0; length];
    normal(Key::new(7, stream), 0, &mut values);
    values
}

fn sizes(
    samples: usize,
    input: [usize; 3],
    (channels, filters): (usize, usize),
    padding: [(usize, usize); 2],
) -> Option<ConvolutionSizes> {
    let shape = KernelShape {
        channels,
        filters,
        groups: 1,
        window: Window::new(&[3, 3]).padding(&padding),
    };
    ConvolutionSizes::new(samples, input, shape)
}

/// One number after the other.
fn plain(sizes: &ConvolutionSizes, x: &[f32], kernel: &[f32]) -> Vec<f32> {
    let KernelShape {
        channels,
        filters,
        window,
        ..
    } = sizes.kernel;
    let multiply_add = |a: f32, b: f32, c: f32| match Isa::detect().fused() {
        true => a.mul_add(b, c),
        false => a * b + c,
    };
    let places = transformed_kernel(kernel, channels * filters);
    let ([_, height, width], [_, rows, columns]) = (sizes.input, sizes.output);
    let mut y = vec![0.0; sizes.output_len()];
    for slice in 0..sizes.samples * sizes.input[0] {
        for (row, column) in (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))) {
            let (top, left) = (row / 2 * 2, column / 2 * 2);
            let pixel = |i: usize, j: usize, channel: usize| {
                let i = (top + i).checked_sub(window.padding[1].0);
                let j = (left + j).checked_sub(window.padding[2].0);
                match (i.filter(|&i| i < height), j.filter(|&j| j < width)) {
                    (Some(i), Some(j)) => {
                        x[((slice * height + i) * width + j) * channels + channel]
                    }
                    _ => 0.0,
                }
            };
            let of_seen = |d: [f32; 4]| [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]];
            let of_sums = |m: [f32; 4]| [m[0] + m[1] + m[2], m[1] - m[2] - m[3]];
            let seen: Vec<[[f32; 4]; 4]> = (0..channels)
                .map(|channel| {
                    let columns: [[f32; 4]; 4] = std::array::from_fn(|j| {
                        of_seen(std::array::from_fn(|i| pixel(i, j, channel)))
                    });
                    std::array::from_fn(|i| of_seen(columns.map(|column| column[i])))
                })
                .collect();
            for filter in 0..filters {
                let sum = |i: usize, j: usize| {
                    (0..channels).fold(0.0, |sum, channel| {
                        let weight = places[4 * i + j][channel * filters + filter];
                        multiply_add(seen[channel][i][j], weight, sum)
                    })
                };
                let columns: [[f32; 2]; 4] =
                    std::array::from_fn(|j| of_sums(std::array::from_fn(|i| sum(i, j))));
                let tile = of_sums(columns.map(|column| column[row - top]));
                let pixel = (slice * rows + row) * columns_of(sizes) + column;
                y[pixel * filters + filter] = tile[column - left];
            }
        }
    }
    y
}

fn columns_of(sizes: &ConvolutionSizes) -> usize {
    sizes.output[2]
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn has_the_bits_of_the_plain_arithmetic_and_is_near_the_convolution(
        samples in 1usize..4,
        slices in 1usize..3,
        height in 1usize..12,
        width in 1usize..12,
        channels in prop_oneof![1usize..40, Just(256usize)],
        filters in prop_oneof![1usize..40, 60usize..140],
        padding in prop::array::uniform2((0usize..3, 0usize..3)),
        bias: bool,
        residual: bool,
        activation in prop::sample::select(&[
            EpilogueActivation::None,
            EpilogueActivation::Relu,
            EpilogueActivation::Relu6,
            EpilogueActivation::Silu,
        ][..]),
    ) {
        let sizes = sizes(samples, [slices, height, width], (channels, filters), padding);
        let Some(sizes) = sizes else { return Ok(()) };
        let (x, kernel) = (numbers(0, sizes.input_len()), numbers(1, sizes.kernel.len()));
        let added = (numbers(2, filters), numbers(3, sizes.output_len()));
        let bias = bias.then_some(added.0.as_slice());
        let residual = residual.then_some(added.1.as_slice());
        let packed = WinogradKernel::new(&sizes.kernel, &kernel);
        let run = |epilogue: &Epilogue<'_>, residual: Option<&[f32]>| {
            let mut y = vec![f32::NAN; sizes.output_len()];
            winograd(&sizes, &x, &packed, &mut y, epilogue, residual);
            y
        };
        let y = run(&Epilogue::default(), None);
        prop_assert_eq!(bits(&y), bits(&plain(&sizes, &x, &kernel)));
        // What ends it does as after the exact convolution: bias, residual, activation.
        let epilogue = Epilogue { bias, activation };
        let mut expected = y.clone();
        if let Some(bias) = bias {
            let add = |pixel: &mut [f32]| pixel.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
            expected.chunks_mut(filters).for_each(add);
        }
        if let Some(residual) = residual {
            expected.iter_mut().zip(residual).for_each(|(y, residual)| *y += residual);
        }
        let late = Epilogue { bias: None, activation };
        late.apply_row(&mut expected, 0);
        let ended = run(&epilogue, residual);
        prop_assert_eq!(bits(&ended), bits(&expected));
        // Nor do threads or other samples change anything.
        prop_assert_eq!(bits(&on_one_thread(|| run(&epilogue, residual))), bits(&ended));
        let one = ConvolutionSizes { samples: 1, ..sizes };
        let mut alone = vec![f32::NAN; one.output_len()];
        winograd(&one, &x[..one.input_len()], &packed, &mut alone, &Epilogue::default(), None);
        prop_assert_eq!(bits(&alone), bits(&y[..one.output_len()]));
        // The exact sums, within a bound that the magnitudes of all products give.
        let mut exact = vec![0.0; sizes.output_len()];
        reference(&sizes, &x, &kernel, &mut exact);
        let magnitude = |values: &[f32]| values.iter().map(|value| value.abs()).collect::<Vec<_>>();
        let mut magnitudes = vec![0.0; sizes.output_len()];
        reference(&sizes, &magnitude(&x), &magnitude(&kernel), &mut magnitudes);
        let largest = magnitudes.iter().copied().fold(0.0, f32::max);
        for (y, exact) in y.iter().zip(&exact) {
            prop_assert!((y - exact).abs() <= 2e-6 * largest, "{} {} {}", y, exact, largest);
        }
    }
}

/// What is stated: on weights and values as networks have them the largest error is below 8e-7 of the largest value,
/// no more than twice that of the convolution itself.
#[test]
fn rounds_about_as_much_as_the_convolution() {
    for channels in [64, 256] {
        let sizes = sizes(1, [1, 14, 14], (channels, 64), [(1, 1); 2]).unwrap();
        let x: Vec<f32> = numbers(0, sizes.input_len())
            .iter()
            .map(|x| x.max(0.0))
            .collect();
        let scale = (2.0 / (9 * channels) as f32).sqrt();
        let kernel: Vec<f32> = numbers(1, sizes.kernel.len())
            .iter()
            .map(|k| k * scale)
            .collect();
        let mut y = [vec![0.0; sizes.output_len()], vec![0.0; sizes.output_len()]];
        let none = Epilogue::default();
        winograd(
            &sizes,
            &x,
            &WinogradKernel::new(&sizes.kernel, &kernel),
            &mut y[0],
            &none,
            None,
        );
        convolution_fused(
            &sizes,
            &x,
            &PackedKernel::new(&sizes.kernel, &kernel),
            &mut y[1],
            &none,
            None,
        );
        let exact = in_double_precision(&sizes, &x, &kernel);
        let largest = exact
            .iter()
            .fold(0.0, |largest: f64, y| largest.max(y.abs()));
        let errors = y.map(|y| {
            let errors = y
                .iter()
                .zip(&exact)
                .map(|(&y, exact)| (f64::from(y) - exact).abs());
            errors.fold(0.0, f64::max) / largest
        });
        println!("{channels} channels: {errors:?}");
        assert!(errors[0] < 8e-7, "{channels} channels: {errors:?}");
        assert!(
            errors[0] < 2.0 * errors[1].max(2e-7),
            "{channels} channels: {errors:?}"
        );
    }
}

fn in_double_precision(sizes: &ConvolutionSizes, x: &[f32], kernel: &[f32]) -> Vec<f64> {
    let (channels, filters) = (sizes.kernel.channels, sizes.kernel.filters);
    let [_, height, width] = sizes.input;
    let mut y = vec![0.0; sizes.output_len()];
    for (pixel, y) in y.chunks_mut(filters).enumerate() {
        let (row, column) = (pixel / width, pixel % width);
        for (i, j) in (0..3).flat_map(|i| (0..3).map(move |j| (i, j))) {
            let (Some(r), Some(c)) = ((row + i).checked_sub(1), (column + j).checked_sub(1)) else {
                continue;
            };
            if r >= height || c >= width {
                continue;
            }
            for channel in 0..channels {
                let x = f64::from(x[(r * width + c) * channels + channel]);
                let weights = &kernel[((3 * i + j) * channels + channel) * filters..][..filters];
                for (y, &weight) in y.iter_mut().zip(weights) {
                    *y += x * f64::from(weight);
                }
            }
        }
    }
    y
}

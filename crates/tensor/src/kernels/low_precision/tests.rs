//! Every kernel of this machine against the formulas, bit for bit.

use proptest::prelude::*;

use super::tile::{self, Kernels, ROWS, Sums, Tile};
use super::*;
use crate::kernels::convolution::{ConvolutionSizes, KernelShape};
#[cfg(target_arch = "x86_64")]
use crate::kernels::isa::Avx2;
use crate::kernels::isa::{Isa, tests::instruction_sets};
use crate::kernels::matmul::EpilogueActivation;
use crate::kernels::window::Window;

fn numbers(length: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..length).map(next).collect()
}

fn bits(length: usize, seed: u32) -> Vec<u32> {
    numbers(length, seed)
        .into_iter()
        .map(|x| x.to_bits().wrapping_mul(0x9e37_79b9) ^ x.to_bits() >> 7)
        .collect()
}

fn sizes() -> impl Strategy<Value = ConvolutionSizes> {
    let axis = (
        1usize..4,
        1usize..4,
        1usize..3,
        0usize..3,
        0usize..3,
        1usize..15,
    );
    let channels = prop_oneof![
        (1usize..40, 1usize..100, Just(1usize)),
        (2usize..100).prop_map(|channels| (channels, channels, channels)),
    ];
    let plain: bool = false;
    (
        prop::array::uniform2(axis),
        channels,
        1usize..4,
        prop_oneof![Just(plain), Just(true)],
    )
        .prop_filter_map(
            "the window must fit",
            |(axes, (channels, filters, groups), samples, plain)| {
                let axes = match plain {
                    // A plain product.
                    true => axes.map(|axis| (1, 1, 1, 0, 0, axis.5)),
                    false => axes,
                };
                let [a, b] = axes;
                let window = Window::new(&[a.0, b.0])
                    .strides(&[a.1, b.1])
                    .dilation(&[a.2, b.2])
                    .padding(&[(a.3, a.4), (b.3, b.4)]);
                let kernel = KernelShape {
                    channels,
                    filters,
                    groups,
                    window,
                };
                ConvolutionSizes::new(samples, [1, a.5, b.5], kernel)
            },
        )
}

/// Bytes of an array, filled up to words.
fn packed(values: &[f32], channels: usize, quantization: Quantization) -> Vec<u32> {
    let pixels = values.chunks_exact(channels);
    let words = |pixel: &[f32]| {
        let word = |four: &[f32]| {
            let mut bytes = [0; 4];
            for (byte, &x) in bytes.iter_mut().zip(four) {
                *byte = quantization.byte(x);
            }
            u32::from_le_bytes(bytes)
        };
        pixel.chunks(4).map(word).collect::<Vec<u32>>()
    };
    pixels.flat_map(words).collect()
}

fn activation() -> impl Strategy<Value = EpilogueActivation> {
    prop_oneof![
        Just(EpilogueActivation::None),
        Just(EpilogueActivation::Relu),
        Just(EpilogueActivation::Relu6),
        Just(EpilogueActivation::Silu),
    ]
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 200 }))]

    #[test]
    fn integers_are_the_sums_of_their_formula(
        sizes in sizes(),
        activation in activation(),
        residual in prop_oneof![Just(None), Just(Some(false)), Just(Some(true))],
        input_bytes: bool,
        output_bytes: bool,
        low in -2.0f32..0.0,
        with_means: bool,
    ) {
        let shape = sizes.kernel;
        let x = numbers(sizes.input_len(), 0);
        let exact = numbers(shape.len(), 1);
        let bias = numbers(shape.filters, 2);
        let (before, after) = (numbers(shape.channels, 4), numbers(shape.channels, 5));
        let input = Quantization::of_range(low, 0.9);
        let weights = Weights::int8(shape, &exact);
        let means = with_means.then_some((before.as_slice(), after.as_slice()));
        let ending = Ending::int8(&weights, &exact, input, Some(&bias), means);
        let words = packed(&x, shape.channels, input);
        let values = if input_bytes { Values::Bytes(&words, input) } else { Values::F32(&x) };
        let added = numbers(sizes.output_len(), 3);
        let of_added = Quantization::of_range(-1.1, 0.8);
        let added_words = packed(&added, shape.filters, of_added);
        let residual = residual.map(|bytes| match bytes {
            true => Values::Bytes(&added_words, of_added),
            false => Values::F32(&added),
        });
        let expected = reference(&sizes, values, &exact, &ending, residual, activation);
        if output_bytes {
            let output = Quantization::of_range(-3.0, 5.0);
            let pixel = words_of_bytes(shape.filters);
            let mut y = vec![u32::MAX; sizes.output_len() / shape.filters * pixel];
            convolution(&sizes, values, (&weights, &ending), residual, activation, Target::Bytes(&mut y, output));
            prop_assert_eq!(y, packed(&expected, shape.filters, output));
        } else {
            let mut y = vec![f32::NAN; sizes.output_len()];
            convolution(&sizes, values, (&weights, &ending), residual, activation, Target::F32(&mut y));
            prop_assert!(same_bits(&y, &expected));
        }
    }

    #[test]
    fn bfloat16_are_the_sums_of_their_formula(
        sizes in sizes(),
        activation in activation(),
        residual: bool,
    ) {
        let shape = sizes.kernel;
        prop_assume!(shape.groups == 1);
        let x = numbers(sizes.input_len(), 0);
        let exact = numbers(shape.len(), 1);
        let bias = numbers(shape.filters, 2);
        let weights = Weights::bfloat16(shape, &exact);
        let ending = Ending::bfloat16(&weights, Some(&bias));
        let added = numbers(sizes.output_len(), 3);
        let residual = residual.then_some(Values::F32(&added));
        let expected = reference(&sizes, Values::F32(&x), &exact, &ending, residual, activation);
        let mut y = vec![f32::NAN; sizes.output_len()];
        convolution(&sizes, Values::F32(&x), (&weights, &ending), residual, activation, Target::F32(&mut y));
        prop_assert!(same_bits(&y, &expected));
    }

    #[test]
    fn every_instruction_set_gives_the_same_sums(
        height in 1usize..=ROWS, runs in 1usize..4, run_len in 0usize..20, gap in 0usize..5, seed: u32,
    ) {
        let a_row = runs * (run_len + gap);
        let a = bits(height * a_row + 1, seed);
        let b = bits(runs * run_len * tile::COLUMNS, seed.wrapping_add(1));
        // Numbers around 1, as bfloat16: not so small that they are taken for zero.
        let tame = |words: &[u32]| -> Vec<u32> {
            words.iter().map(|word| word & 0x80ff_80ff | 0x3f00_3f00).collect()
        };
        let places: Vec<usize> = (0..runs).map(|run| run * (run_len + gap)).collect();
        let (tame_a, tame_b) = (tame(&a), tame(&b));
        for columns in [7, 32] {
            let tile = Tile { a: &a, a_row, runs: &places, run_len, b: &b };
            let expected = by_rows(&tile::PORTABLE_INT8, height, columns, &tile);
            let tame = Tile { a: &tame_a, b: &tame_b, ..tile };
            let floats = by_rows(&tile::PORTABLE_BFLOAT16, height, columns, &tame);
            for kernels in int8_kernels() {
                prop_assert_eq!(&by_rows(kernels, height, columns, &tile), &expected);
            }
            for isa in instruction_sets() {
                let found = by_rows(tile::bfloat16(isa), height, columns, &tame);
                prop_assert!(same_bits(&found, &floats), "{:?}", isa);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 100 }))]

    #[test]
    fn every_instruction_set_gives_the_same_depthwise_sums(
        pixels in 1usize..=ROWS, taps in 1usize..12, step in 0usize..70, apart in 1usize..50, seed: u32,
    ) {
        let x = bits((taps * apart + ROWS * step) / 4 + 9, seed);
        let weights = bits(taps.div_ceil(weights::TOGETHER) * tile::COLUMNS, seed ^ 1);
        let taps: Vec<usize> = (0..taps).map(|tap| tap * apart).collect();
        let block = depthwise::Block {
            x: bytemuck::cast_slice(&x),
            step,
            pixels,
            taps: &taps,
            weights: &weights,
        };
        let sums = |kernel| {
            let mut sums: Sums<i32> = [[0; tile::COLUMNS]; ROWS];
            depthwise::sum(kernel, &block, &mut sums);
            sums[..pixels].to_vec()
        };
        let expected = sums(depthwise::kernels(Isa::Portable)[0]);
        for isa in instruction_sets() {
            for kernel in depthwise::kernels(isa) {
                prop_assert_eq!(&sums(kernel), &expected);
            }
        }
    }
}

/// The sums that count, by tiles of as many pixels as the kernels take.
fn by_rows<S: Copy + Default>(
    kernels: &Kernels<S>,
    height: usize,
    columns: usize,
    tile: &Tile<'_>,
) -> Vec<S> {
    let mut all = Vec::new();
    for first in (0..height).step_by(kernels.rows()) {
        let rows = kernels.rows().min(height - first);
        let mut sums: Sums<S> = [[S::default(); tile::COLUMNS]; ROWS];
        let part = Tile {
            a: &tile.a[first * tile.a_row..],
            ..*tile
        };
        kernels.sum(rows, columns, &part, &mut sums);
        for row in &sums[..rows] {
            all.extend_from_slice(&row[..columns]);
        }
    }
    all
}

/// All kernels that this machine can run, those that a better one hides included.
fn int8_kernels() -> Vec<&'static Kernels<i32>> {
    let kernels = instruction_sets().into_iter().map(tile::int8);
    #[cfg(target_arch = "x86_64")]
    let kernels = kernels.chain(Avx2::new().map(|_| &tile::x86::AVX2));
    kernels.collect()
}

/// Sizes at which several threads, regions and panels are at work.
#[test]
#[cfg_attr(miri, ignore = "too much arithmetic")]
fn threads_do_not_show() {
    for (channels, filters, groups, input, size, strides) in [
        (64, 130, 1, [19, 23], 3, 2),
        (512, 200, 1, [7, 7], 1, 1),
        (96, 96, 96, [33, 31], 3, 1),
        (256, 64, 1, [40, 40], 1, 1),
    ] {
        let window = Window::new(&[size, size])
            .strides(&[strides, strides])
            .same_padding(&input);
        let shape = KernelShape {
            channels,
            filters,
            groups,
            window,
        };
        let sizes = ConvolutionSizes::new(2, [1, input[0], input[1]], shape).unwrap();
        let (x, exact) = (numbers(sizes.input_len(), 0), numbers(shape.len(), 1));
        let input = Quantization::of_range(-0.7, 0.9);
        let weights = Weights::int8(shape, &exact);
        let ending = Ending::int8(&weights, &exact, input, None, None);
        let none = EpilogueActivation::None;
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| {
                let mut y = vec![0.0; sizes.output_len()];
                convolution(
                    &sizes,
                    Values::F32(&x),
                    (&weights, &ending),
                    None,
                    none,
                    Target::F32(&mut y),
                );
                y
            })
        };
        let one = run(1);
        assert!(same_bits(&one, &run(2)) && same_bits(&one, &run(5)));
        let expected = reference(&sizes, Values::F32(&x), &exact, &ending, None, none);
        assert!(same_bits(&one, &expected));
    }
}

#[test]
fn a_byte_is_the_nearest_and_zero_is_exact() {
    for (low, high) in [
        (0.0, 6.0),
        (-3.0, 5.0),
        (-1e-3, 1e4),
        (-7.0, 0.0),
        (0.0, 0.0),
    ] {
        let q = Quantization::of_range(low, high);
        assert_eq!(q.value(q.byte(0.0)), 0.0);
        for at in 0..=1000 {
            let x = low + (high - low) * at as f32 / 1000.0;
            let error = (q.value(q.byte(x)) - x).abs();
            // Half a step, and half of one by which zero is moved onto a step, at the ends.
            assert!(error <= 1.01 * q.step(), "{x} of {low}..{high}: {error}");
        }
        assert_eq!(q.byte(f32::INFINITY), 255);
        assert_eq!(q.byte(f32::NEG_INFINITY), 0);
        assert_eq!(q.byte(f32::NAN), 0);
    }
}

/// What means are told for: the mean of a filter's results is that of the exact weights.
#[test]
fn the_offset_makes_up_for_what_rounding_does_to_the_mean() {
    let shape = KernelShape {
        channels: 24,
        filters: 5,
        groups: 1,
        window: Window::new(&[1, 1]),
    };
    let sizes = ConvolutionSizes::new(1, [1, 40, 1], shape).unwrap();
    let x: Vec<f32> = numbers(sizes.input_len(), 0)
        .iter()
        .map(|x| x * x)
        .collect();
    let exact = numbers(shape.len(), 1);
    let input = Quantization::of_range(0.0, 0.5);
    let mean = |values: &[f32], width: usize| -> Vec<f32> {
        let mut means = vec![0.0; width];
        for row in values.chunks(width) {
            means
                .iter_mut()
                .zip(row)
                .for_each(|(mean, x)| *mean += x / 40.0);
        }
        means
    };
    let rounded: Vec<f32> = x.iter().map(|&x| input.value(input.byte(x))).collect();
    let (before, after) = (mean(&x, 24), mean(&rounded, 24));
    let weights = Weights::int8(shape, &exact);
    let means = |means| {
        let ending = Ending::int8(&weights, &exact, input, None, means);
        let mut y = vec![0.0; sizes.output_len()];
        convolution(
            &sizes,
            Values::F32(&x),
            (&weights, &ending),
            None,
            EpilogueActivation::None,
            Target::F32(&mut y),
        );
        mean(&y, 5)
    };
    let mut y = vec![0.0; sizes.output_len()];
    crate::kernels::convolution::convolution(&sizes, &x, &exact, &mut y);
    let expected = mean(&y, 5);
    let far = |found: &[f32]| {
        let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        apart.fold(0.0, f32::max)
    };
    assert!(far(&means(Some((&before, &after)))) < 1e-4);
    assert!(far(&means(None)) > 1e-2);
}

//! The fast convolutions against their formula, in all geometries that layers use.

use proptest::prelude::*;

use super::*;
use crate::kernels::isa::{self, tests::instruction_sets};
use crate::kernels::matmul::EpilogueActivation;
use crate::kernels::random::{self, Key};

fn numbers(length: usize, stream: u64) -> Vec<f32> {
    let mut numbers = vec![0.0; length];
    random::uniform(Key::new(7, stream), 0, &mut numbers);
    numbers.iter().map(|u| u * 2.0 - 1.0).collect()
}

/// Whether two sums of `terms` products of numbers up to 1 are the same but for rounding.
fn close(a: &[f32], b: &[f32], terms: usize) -> bool {
    let tolerance = 1e-6 * (terms as f32).sqrt().max(1.0) * 4.0;
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

fn geometry() -> impl Strategy<Value = ConvolutionSizes> {
    let axis = (
        1usize..4,
        1usize..4,
        1usize..3,
        0usize..3,
        0usize..3,
        0..if cfg!(miri) { 5usize } else { 14 },
    );
    // Miri takes its time.
    let most = |channels| if cfg!(miri) { 11 } else { channels };
    let channels = prop_oneof![
        (1..most(40usize), 1..most(70usize), Just(1usize)),
        (1usize..6, 1usize..6, 2usize..4).prop_map(|(c, f, g)| (c * g, f * g, g)),
        (2..most(70usize)).prop_map(|c| (c, c, c)),
        (2usize..9).prop_map(|c| (c, 2 * c, c)),
    ];
    (prop::array::uniform3(axis), channels, 1usize..4).prop_filter_map(
        "the window must fit",
        |(axes, (channels, filters, groups), samples)| {
            let mut axes = axes;
            // Mostly two spatial axes.
            if axes[0].5 > 3 {
                axes[0] = (1, 1, 1, 0, 0, 1);
            }
            let window = Window {
                size: axes.map(|axis| axis.0),
                strides: axes.map(|axis| axis.1),
                dilation: axes.map(|axis| axis.2),
                padding: axes.map(|axis| (axis.3, axis.4)),
            };
            let input = axes.map(|axis| axis.5.max(1));
            let kernel = KernelShape {
                channels,
                filters,
                groups,
                window,
            };
            ConvolutionSizes::new(samples, input, kernel)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 300 }))]

    #[test]
    fn fast_convolutions_are_the_sums_of_their_formula(sizes in geometry()) {
        let x = numbers(sizes.input_len(), 0);
        let kernel = numbers(sizes.kernel.len(), 1);
        let dy = numbers(sizes.output_len(), 2);
        let terms = sizes.kernel.window.cells() * sizes.kernel.channels;
        let (mut fast, mut slow) = (vec![9.0; dy.len()], vec![9.0; dy.len()]);
        convolution(&sizes, &x, &kernel, &mut fast);
        reference(&sizes, &x, &kernel, &mut slow);
        prop_assert!(close(&fast, &slow, terms), "forward");
        let (mut fast, mut slow) = (vec![9.0; x.len()], vec![9.0; x.len()]);
        input_gradient(&sizes, &dy, &kernel, &mut fast);
        reference_input_gradient(&sizes, &dy, &kernel, &mut slow);
        prop_assert!(close(&fast, &slow, terms), "input gradient");
        let (mut fast, mut slow) = (vec![9.0; kernel.len()], vec![9.0; kernel.len()]);
        weight_gradient(&sizes, &x, &dy, &mut fast);
        reference_weight_gradient(&sizes, &x, &dy, &mut slow);
        prop_assert!(close(&fast, &slow, dy.len()), "weight gradient");
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits(sizes in geometry()) {
        let x = numbers(sizes.input_len(), 0);
        let kernel = numbers(sizes.kernel.len(), 1);
        let dy = numbers(sizes.output_len(), 2);
        let run = || {
            let mut y = vec![9.0; dy.len()];
            convolution(&sizes, &x, &kernel, &mut y);
            let mut dx = vec![9.0; x.len()];
            input_gradient(&sizes, &dy, &kernel, &mut dx);
            let mut dkernel = vec![9.0; kernel.len()];
            weight_gradient(&sizes, &x, &dy, &mut dkernel);
            [y, dx, dkernel].map(|part| part.iter().map(|x| x.to_bits()).collect::<Vec<_>>())
        };
        for fused in [true, false] {
            let sets = instruction_sets().into_iter().filter(|isa| isa.fused() == fused);
            let mut results = sets.map(|isa| (isa, isa::tests::with(isa, run)));
            let Some((first, expected)) = results.next() else {
                continue;
            };
            for (isa, received) in results {
                prop_assert_eq!(&received, &expected, "{:?} and {:?}", isa, first);
            }
        }
    }

    #[test]
    fn a_sample_has_the_same_bits_in_any_batch_and_on_any_number_of_threads(
        sizes in geometry(), sample in 0usize..3,
    ) {
        let sample = sample % sizes.samples;
        let x = numbers(sizes.input_len(), 0);
        let kernel = numbers(sizes.kernel.len(), 1);
        let mut batch = vec![0.0; sizes.output_len()];
        convolution(&sizes, &x, &kernel, &mut batch);
        let one = ConvolutionSizes { samples: 1, ..sizes };
        let mut alone = vec![0.0; one.output_len()];
        let part = &x[sample * one.input_len()..][..one.input_len()];
        let threads = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        threads.install(|| convolution(&one, part, &kernel, &mut alone));
        prop_assert_eq!(&alone[..], &batch[sample * one.output_len()..][..one.output_len()]);
    }

    #[test]
    fn a_fused_convolution_has_the_bits_of_its_parts(sizes in geometry(), six: bool, residual: bool) {
        let x = numbers(sizes.input_len(), 0);
        let kernel = numbers(sizes.kernel.len(), 1);
        let bias = numbers(sizes.kernel.filters, 2);
        let mut parts = vec![0.0; sizes.output_len()];
        convolution(&sizes, &x, &kernel, &mut parts);
        let activation = if six { EpilogueActivation::Relu6 } else { EpilogueActivation::Silu };
        let epilogue = Epilogue { bias: Some(&bias), activation };
        let residual = residual.then(|| numbers(sizes.output_len(), 3));
        for (first, row) in parts.chunks_exact_mut(sizes.kernel.filters).enumerate() {
            let Some(residual) = &residual else {
                epilogue.apply_row(row, 0);
                continue;
            };
            let residual = &residual[first * sizes.kernel.filters..];
            let sums = row.iter_mut().zip(&bias).zip(residual);
            sums.for_each(|((y, bias), residual)| *y = (*y + bias) + residual);
            Epilogue { bias: None, activation }.apply_row(row, 0);
        }
        let mut fused = vec![0.0; sizes.output_len()];
        let packed = PackedKernel::new(&sizes.kernel, &kernel);
        convolution_fused(&sizes, &x, &packed, &mut fused, &epilogue, residual.as_deref());
        prop_assert_eq!(fused, parts);
    }
}

/// Sizes at which several threads, tasks, panels and copies are at work.
#[test]
#[cfg_attr(miri, ignore = "too much arithmetic")]
fn large_convolutions_have_the_same_bits_on_any_number_of_threads() {
    for (channels, filters, groups, input, strides, size) in [
        (64, 96, 1, [1, 19, 23], [1, 1, 1], [1, 3, 3]),
        (512, 130, 1, [1, 9, 7], [1, 1, 1], [1, 1, 1]),
        (256, 64, 1, [1, 9, 7], [1, 2, 2], [1, 3, 3]),
        (96, 96, 96, [1, 33, 31], [1, 2, 1], [1, 5, 5]),
        (8, 40, 1, [5, 9, 11], [1, 2, 1], [2, 3, 3]),
        (3, 64, 1, [1, 31, 28], [1, 2, 2], [1, 7, 7]),
        (270, 260, 1, [1, 9, 7], [1, 2, 2], [1, 1, 1]),
        (24, 40, 1, [1, 9, 300], [1, 1, 1], [1, 3, 1]),
        (8, 12, 2, [1, 9, 300], [1, 1, 2], [1, 3, 3]),
    ] {
        let window = Window {
            strides,
            ..Window::new(&size)
        }
        .same_padding(&input);
        let kernel = KernelShape {
            channels,
            filters,
            groups,
            window,
        };
        let sizes = ConvolutionSizes::new(3, input, kernel).unwrap();
        let x = numbers(sizes.input_len(), 0);
        let kernel = numbers(sizes.kernel.len(), 1);
        let dy = numbers(sizes.output_len(), 2);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let mut y = vec![0.0; sizes.output_len()];
                convolution(&sizes, &x, &kernel, &mut y);
                let mut dx = vec![0.0; sizes.input_len()];
                input_gradient(&sizes, &dy, &kernel, &mut dx);
                let mut dkernel = vec![0.0; sizes.kernel.len()];
                weight_gradient(&sizes, &x, &dy, &mut dkernel);
                [y, dx, dkernel]
            })
        };
        let one = run(1);
        assert!(one == run(2) && one == run(5), "{sizes:?}");
        let mut slow = [
            vec![0.0; dy.len()],
            vec![0.0; x.len()],
            vec![0.0; kernel.len()],
        ];
        reference(&sizes, &x, &kernel, &mut slow[0]);
        reference_input_gradient(&sizes, &dy, &kernel, &mut slow[1]);
        reference_weight_gradient(&sizes, &x, &dy, &mut slow[2]);
        let cells = window.cells();
        let terms = [
            cells * channels / groups,
            cells * filters / groups,
            dy.len() / filters,
        ];
        for ((fast, slow), terms) in one.iter().zip(&slow).zip(terms) {
            assert!(close(fast, slow, terms), "{terms} terms: {sizes:?}");
        }
    }
}

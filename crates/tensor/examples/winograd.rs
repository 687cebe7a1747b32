//! The 3×3 convolutions of ResNet50, with a bias and a rectifier, computed as sums and by Winograd's filtering, in turn:
//! the fastest calls in milliseconds. `one` keeps them to one thread.

use std::hint::black_box;
use std::time::Instant;

use regraft_tensor::kernels::convolution::{
    ConvolutionSizes, KernelShape, PackedKernel, WinogradKernel, convolution_fused, winograd,
};
use regraft_tensor::kernels::matmul::{Epilogue, EpilogueActivation};
use regraft_tensor::kernels::on_one_thread;
use regraft_tensor::kernels::random::{Key, normal};
use regraft_tensor::kernels::window::Window;

/// Channels and filters, size of the picture, pictures.
const LAYERS: [(usize, usize, usize); 6] = [
    (64, 56, 1),
    (128, 28, 1),
    (256, 14, 1),
    (256, 14, 4),
    (512, 7, 1),
    (512, 7, 4),
];

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("one") => on_one_thread(measure),
        _ => measure(),
    }
}

fn measure() {
    for (channels, size, pictures) in LAYERS {
        let window = Window::new(&[3, 3]).same_padding(&[size, size]);
        let shape = KernelShape {
            channels,
            filters: channels,
            groups: 1,
            window,
        };
        let sizes = ConvolutionSizes::new(pictures, [1, size, size], shape).expect("it fits");
        let (x, kernel) = (numbers(0, sizes.input_len()), numbers(1, shape.len()));
        let bias = numbers(2, channels);
        let epilogue = Epilogue {
            bias: Some(&bias),
            activation: EpilogueActivation::Relu,
        };
        let (packed, transformed) = (
            PackedKernel::new(&shape, &kernel),
            WinogradKernel::new(&shape, &kernel),
        );
        let mut y = vec![0.0; sizes.output_len()];
        let (mut sums, mut filtering) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..6 {
            sums = sums.min(fastest(|| {
                convolution_fused(&sizes, &x, &packed, black_box(&mut y), &epilogue, None);
            }));
            filtering = filtering.min(fastest(|| {
                winograd(&sizes, &x, &transformed, black_box(&mut y), &epilogue, None);
            }));
        }
        let ratio = sums / filtering;
        println!(
            "{channels} channels, {pictures} × {size} × {size}: sums {sums:.3}, Winograd {filtering:.3} ({ratio:.2}×)"
        );
    }
}

fn numbers(stream: u64, length: usize) -> Vec<f32> {
    let mut values = vec![0.0; length];
    normal(Key::new(1, stream), 0, &mut values);
    values
}

/// Of eight calls the fastest, in milliseconds.
fn fastest(mut call: impl FnMut()) -> f64 {
    let time = |_| {
        let started = Instant::now();
        call();
        1e3 * started.elapsed().as_secs_f64()
    };
    (0..8).map(time).fold(f64::INFINITY, f64::min)
}

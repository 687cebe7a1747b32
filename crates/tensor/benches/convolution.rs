//! Convolutions of the sizes that ResNet50 and MobileNetV2 have: forward and both gradients.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use regraft_tensor::kernels::convolution::{
    ConvolutionSizes, KernelShape, convolution, input_gradient, weight_gradient,
};
use regraft_tensor::kernels::window::Window;

/// Name, size, channels, filters, groups, window, stride.
type Layer = (&'static str, usize, usize, usize, usize, usize, usize);

const LAYERS: &[Layer] = &[
    ("3x3 64-64 at 56", 56, 64, 64, 1, 3, 1),
    ("3x3 128-128 at 28", 28, 128, 128, 1, 3, 1),
    ("3x3 256-256 at 14", 14, 256, 256, 1, 3, 1),
    ("3x3 512-512 at 7", 7, 512, 512, 1, 3, 1),
    ("1x1 64-256 at 56", 56, 64, 256, 1, 1, 1),
    ("1x1 256-64 at 56", 56, 256, 64, 1, 1, 1),
    ("1x1 512-128 at 28", 28, 512, 128, 1, 1, 1),
    ("1x1 1024-256 at 14", 14, 1024, 256, 1, 1, 1),
    ("1x1 256-1024 at 14", 14, 256, 1024, 1, 1, 1),
    ("1x1 2048-512 at 7", 7, 2048, 512, 1, 1, 1),
    ("1x1/2 256-512 at 56", 56, 256, 512, 1, 1, 2),
    ("7x7/2 3-64 at 224", 224, 3, 64, 1, 7, 2),
    ("3x3/2 3-32 at 224", 224, 3, 32, 1, 3, 2),
    ("1x1 16-96 at 112", 112, 16, 96, 1, 1, 1),
    ("1x1 144-24 at 56", 56, 144, 24, 1, 1, 1),
    ("1x1 320-1280 at 7", 7, 320, 1280, 1, 1, 1),
    ("depthwise 3x3 32 at 112", 112, 32, 32, 32, 3, 1),
    ("depthwise 3x3/2 96 at 112", 112, 96, 96, 96, 3, 2),
    ("depthwise 3x3 144 at 56", 56, 144, 144, 144, 3, 1),
    ("depthwise 3x3 384 at 14", 14, 384, 384, 384, 3, 1),
    ("depthwise 5x5 240 at 28", 28, 240, 240, 240, 5, 1),
];

fn convolutions(c: &mut Criterion) {
    for &(name, size, channels, filters, groups, window, stride) in LAYERS {
        let window = Window::new(&[window, window]).strides(&[stride, stride]);
        let window = window.same_padding(&[size, size]);
        let kernel = KernelShape {
            channels,
            filters,
            groups,
            window,
        };
        let sizes = ConvolutionSizes::new(32, [1, size, size], kernel).unwrap();
        let fill = |length: usize| -> Vec<f32> {
            (0..length)
                .map(|i| ((i * 7919) % 997) as f32 / 997.0 - 0.5)
                .collect()
        };
        let (x, kernel) = (fill(sizes.input_len()), fill(sizes.kernel.len()));
        let dy = fill(sizes.output_len());
        let (mut y, mut dx, mut dk) = (dy.clone(), x.clone(), kernel.clone());
        let mut group = c.benchmark_group(name);
        // Multiply-adds count twice; elements per second are operations per second.
        let work = 2 * sizes.output_len() * window.cells() * channels / groups;
        group.throughput(Throughput::Elements(work as u64));
        group.sample_size(10);
        group.bench_function("forward", |b| {
            b.iter(|| convolution(&sizes, &x, &kernel, &mut y));
        });
        group.bench_function("input gradient", |b| {
            b.iter(|| input_gradient(&sizes, &dy, &kernel, &mut dx));
        });
        group.bench_function("weight gradient", |b| {
            b.iter(|| weight_gradient(&sizes, &x, &dy, &mut dk));
        });
        group.finish();
    }
}

criterion_group!(benches, convolutions);
criterion_main!(benches);

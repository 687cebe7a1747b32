//! Pooling, resizing and batch normalization of the sizes that networks for images have.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use regraft_tensor::kernels::pooling::{self, Pooling};
use regraft_tensor::kernels::random::{Key, normal};
use regraft_tensor::kernels::resize::{ResizeMethod, Taps, resize};
use regraft_tensor::kernels::window::Window;
use regraft_tensor::kernels::{batch_normalization, broadcast, elementwise, math, reduce};
use std::hint::black_box;

fn draw(length: usize) -> Vec<f32> {
    let mut x = vec![0.0; length];
    normal(Key::new(1, 0), 0, &mut x);
    x
}

/// The pooling in front of a ResNet's blocks, 3 × 3 with strides of 2.
fn poolings(criterion: &mut Criterion) {
    let window = Window::new(&[3, 3])
        .strides(&[2, 2])
        .same_padding(&[112, 112]);
    let sizes = Pooling {
        samples: 32,
        input: [1, 112, 112],
        output: [1, 56, 56],
        channels: 64,
        window,
    };
    let x = draw(32 * 112 * 112 * 64);
    let mut dx = vec![0.0; x.len()];
    let mut y = vec![0.0; x.len() / 4];
    let mut group = criterion.benchmark_group("pool 32x112x112x64");
    group.throughput(Throughput::Bytes(4 * x.len() as u64));
    group.sample_size(10);
    group.bench_function("max", |bencher| {
        bencher.iter(|| pooling::max(&sizes, black_box(&x), &mut y));
    });
    group.bench_function("max gradient", |bencher| {
        bencher.iter(|| pooling::max_gradient(&sizes, black_box(&y), &x, &mut dx));
    });
    group.bench_function("mean", |bencher| {
        bencher.iter(|| pooling::mean(&sizes, black_box(&x), &mut y));
    });
    group.bench_function("mean gradient", |bencher| {
        bencher.iter(|| pooling::mean_gradient(&sizes, black_box(&y), &mut dx));
    });
    group.finish();
    let shape = [32, 7 * 7, 2048];
    let mut means = vec![0.0; 32 * 2048];
    criterion.bench_function("global mean 32x7x7x2048", |bencher| {
        let x = &x[..32 * 49 * 2048];
        bencher.iter(|| reduce::mean(black_box(x), &shape, &[1], &mut means));
    });
}

fn resizes(criterion: &mut Criterion) {
    let x = draw(32 * 224 * 224 * 3);
    let mut group = criterion.benchmark_group("resize 32x32x32x3 to 224x224");
    group.sample_size(10);
    let mut y = vec![0.0; x.len()];
    for method in [
        ResizeMethod::Nearest,
        ResizeMethod::Bilinear,
        ResizeMethod::Bicubic,
    ] {
        let taps = [
            Taps::new(1, 1, method),
            Taps::new(32, 224, method),
            Taps::new(32, 224, method),
        ];
        group.bench_function(
            BenchmarkId::from_parameter(format!("{method:?}")),
            |bencher| {
                bencher.iter(|| resize(&taps, 32, 3, black_box(&x[..32 * 32 * 32 * 3]), &mut y));
            },
        );
    }
    group.finish();
}

fn normalizations(criterion: &mut Criterion) {
    for (rows, channels) in [(32 * 112 * 112, 32), (32 * 7 * 7, 1280)] {
        let (x, dy) = (draw(rows * channels), draw(rows * channels));
        let (gamma, beta) = (draw(channels), draw(channels));
        let (mut moments, mut sums) = (vec![0.0; 2 * channels], vec![0.0; 2 * channels]);
        let mut y = vec![0.0; x.len()];
        let mut group = criterion.benchmark_group(format!("batch normalization {rows}x{channels}"));
        group.throughput(Throughput::Bytes(4 * x.len() as u64));
        group.sample_size(10);
        group.bench_function("moments", |bencher| {
            bencher.iter(|| batch_normalization::moments(black_box(&x), channels, &mut moments));
        });
        group.bench_function("mean alone", |bencher| {
            let means = &mut sums[..channels];
            bencher.iter(|| reduce::mean(black_box(&x), &[rows, channels], &[0], means));
        });
        group.bench_function("normalize", |bencher| {
            bencher.iter(|| {
                let x = black_box(&x);
                batch_normalization::normalize(x, &moments, &gamma, &beta, 1e-3, &mut y);
            });
        });
        group.bench_function("gradient sums", |bencher| {
            bencher.iter(|| {
                let dy = black_box(&dy);
                batch_normalization::gradient_sums(dy, &x, &moments, 1e-3, &mut sums);
            });
        });
        group.bench_function("input gradient", |bencher| {
            bencher.iter(|| {
                let dy = black_box(&dy);
                batch_normalization::input_gradient(dy, &x, &moments, &gamma, &sums, 1e-3, &mut y);
            });
        });
        let shape = [rows, channels];
        group.bench_function("times a row", |bencher| {
            bencher.iter(|| {
                let x = black_box(&x);
                broadcast::binary(x, &shape, &gamma, &[channels], &mut y, &shape, |x, g| x * g);
            });
        });
        group.bench_function("add", |bencher| {
            bencher.iter(|| elementwise::zip(black_box(&x), &dy, &mut y, |a, b| a + b));
        });
        group.bench_function("add in place", |bencher| {
            bencher.iter(|| elementwise::zip_in_place(black_box(&mut y), &dy, |a, b| a + b));
        });
        group.bench_function("relu6 in place", |bencher| {
            bencher.iter(|| elementwise::map_in_place(black_box(&mut y), math::relu6));
        });
        group.bench_function("silu", |bencher| {
            bencher.iter(|| elementwise::map(black_box(&x), &mut y, math::silu));
        });
        group.bench_function("copy", |bencher| {
            bencher.iter(|| y.copy_from_slice(black_box(&x)));
        });
        group.finish();
    }
}

criterion_group!(benches, poolings, resizes, normalizations);
criterion_main!(benches);

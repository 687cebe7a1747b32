//! Softmax and the cross-entropy that goes with it, for a small head and for a large one.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use regraft_tensor::kernels::random::{Key, normal};
use regraft_tensor::kernels::softmax::{
    cross_entropy_gradient_from, softmax, softmax_and_cross_entropy, softmax_cross_entropy,
    softmax_cross_entropy_gradient,
};
use std::hint::black_box;

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("softmax");
    for (rows, columns) in [(32, 10), (32, 1000), (256, 10)] {
        let shape = format!("{rows}x{columns}");
        let mut x = vec![0.0; rows * columns];
        normal(Key::new(1, 0), 0, &mut x);
        let mut y = x.clone();
        let labels: Vec<i32> = (0..rows).map(|row| (row % columns) as i32).collect();
        let (mut loss, scale) = (vec![0.0; rows], vec![1.0 / rows as f32; rows]);
        group.throughput(Throughput::Elements(x.len() as u64));
        group.bench_function(BenchmarkId::new("softmax", &shape), |bencher| {
            bencher.iter(|| softmax(black_box(&x), columns, black_box(&mut y)));
        });
        group.bench_function(BenchmarkId::new("cross-entropy", &shape), |bencher| {
            bencher.iter(|| softmax_cross_entropy(black_box(&x), columns, &labels, &mut loss));
        });
        group.bench_function(BenchmarkId::new("gradient", &shape), |bencher| {
            bencher.iter(|| {
                softmax_cross_entropy_gradient(black_box(&x), columns, &labels, &scale, &mut y)
            });
        });
        let mut both = vec![0.0; rows * (columns + 1)];
        group.bench_function(BenchmarkId::new("both in one pass", &shape), |bencher| {
            bencher.iter(|| {
                softmax_and_cross_entropy(black_box(&x), columns, &labels, &mut both)?;
                cross_entropy_gradient_from(&both, columns, &labels, &scale, &mut y)
            });
        });
    }
    group.finish();
}

criterion_group!(group, benches);
criterion_main!(group);

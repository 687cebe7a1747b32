//! Matrix products, each next to `matrixmultiply` on the same operands: one thread.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use regraft_tensor::kernels::matmul::{Matrix, PackedMatrix, matmul, matmul_packed, reference};
use std::hint::black_box;

/// Rows, inner size, columns, and which operands are transposed: a small head's forward pass,
/// weight gradient and input gradient, whole-data inference, one row, convolutions, large squares.
const SHAPES: &[(usize, usize, usize, bool, bool)] = &[
    (32, 784, 32, false, false),
    (32, 32, 32, false, false),
    (32, 32, 10, false, false),
    (784, 32, 32, true, false),
    (32, 32, 10, true, false),
    (32, 10, 32, false, true),
    (4096, 784, 32, false, false),
    (1, 784, 32, false, false),
    (8, 1280, 1000, false, false),
    (64, 576, 12544, false, false),
    (12544, 576, 64, false, false),
    (256, 256, 256, false, false),
    (1024, 1024, 1024, false, false),
];

fn benches(criterion: &mut Criterion) {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    for &(m, k, n, a_across, b_across) in SHAPES {
        let number = |i: usize| (i % 17) as f32 * 0.1 - 0.8;
        let left: Vec<f32> = (0..m * k).map(number).collect();
        let right: Vec<f32> = (0..k * n).map(number).collect();
        let mut c = vec![0.0; m * n];
        let a = match a_across {
            true => Matrix::new(&left, k, m).transposed(),
            false => Matrix::new(&left, m, k),
        };
        let b = match b_across {
            true => Matrix::new(&right, n, k).transposed(),
            false => Matrix::new(&right, k, n),
        };
        let packed = PackedMatrix::new(b);
        let letter = |across| if across { 't' } else { 'n' };
        let shape = format!("{m}x{k}x{n} {}{}", letter(a_across), letter(b_across));
        let mut group = criterion.benchmark_group("matmul");
        group.throughput(Throughput::ElementsAndBytes {
            elements: 2 * (m * k * n) as u64,
            bytes: 4 * (m * k + k * n + m * n) as u64,
        });
        group.bench_function(BenchmarkId::new("regraft", &shape), |bencher| {
            pool.install(|| bencher.iter(|| matmul(black_box(a), black_box(b), black_box(&mut c))));
        });
        group.bench_function(BenchmarkId::new("packed", &shape), |bencher| {
            pool.install(|| {
                bencher.iter(|| matmul_packed(black_box(a), black_box(&packed), black_box(&mut c)));
            });
        });
        group.bench_function(BenchmarkId::new("matrixmultiply", &shape), |bencher| {
            bencher.iter(|| reference(black_box(a), black_box(b), black_box(&mut c)));
        });
        group.finish();
    }
}

criterion_group!(group, benches);
criterion_main!(group);

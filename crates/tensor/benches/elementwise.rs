//! Elementwise functions, next to plain loops over the standard library's.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use regraft_tensor::kernels::random::{Key, normal, uniform};
use regraft_tensor::kernels::{broadcast, elementwise, math, reduce};
use std::hint::black_box;

const LENGTH: usize = 16 * 1024;

fn maps(criterion: &mut Criterion) {
    let mut x = vec![0.0; LENGTH];
    normal(Key::new(1, 0), 0, &mut x);
    let mut y = vec![0.0; LENGTH];
    let mut group = criterion.benchmark_group("map");
    group.throughput(Throughput::Elements(LENGTH as u64));
    macro_rules! compare {
        ($($name:literal: $ours:expr, $std:expr;)*) => {$(
            group.bench_function(BenchmarkId::new($name, "regraft"), |bencher| {
                bencher.iter(|| elementwise::map(black_box(&x), black_box(&mut y), $ours));
            });
            group.bench_function(BenchmarkId::new($name, "std loop"), |bencher| {
                bencher.iter(|| {
                    for (y, &x) in black_box(&mut y).iter_mut().zip(black_box(&x)) {
                        *y = $std(x);
                    }
                });
            });
        )*};
    }
    compare! {
        "relu": math::relu, |x: f32| x.max(0.0);
        "exp": math::exp, f32::exp;
        "expm1": math::expm1, f32::exp_m1;
        "ln of square": |x| math::ln(x * x), |x: f32| (x * x).ln();
        "tanh": math::tanh, f32::tanh;
        "sigmoid": math::sigmoid, |x: f32| 1.0 / (1.0 + (-x).exp());
        "softplus": math::softplus, |x: f32| x.exp().ln_1p();
        "gelu": math::gelu, |x: f32| 0.5 * x * (1.0 + (0.8 * (x + 0.045 * x * x * x)).tanh());
    }
    group.finish();
}

fn others(criterion: &mut Criterion) {
    let mut x = vec![0.0; LENGTH];
    let mut y = vec![0.0; LENGTH];
    let mut group = criterion.benchmark_group("others");
    group.throughput(Throughput::Elements(LENGTH as u64));
    group.bench_function("uniform", |bencher| {
        bencher.iter(|| uniform(Key::new(1, 0), 0, black_box(&mut x)));
    });
    group.bench_function("normal", |bencher| {
        bencher.iter(|| normal(Key::new(1, 0), 0, black_box(&mut x)));
    });
    let bias = vec![0.5; 32];
    group.bench_function("add a row of 32", |bencher| {
        let shape = [LENGTH / 32, 32];
        bencher.iter(|| {
            broadcast::binary(
                black_box(&x),
                &shape,
                &bias,
                &[32],
                &mut y,
                &shape,
                |a, b| a + b,
            );
        });
    });
    for (name, axes) in [
        ("all", &[0, 1][..]),
        ("last axis", &[1]),
        ("first axis", &[0]),
    ] {
        let shape = [LENGTH / 32, 32];
        group.bench_function(BenchmarkId::new("sum", name), |bencher| {
            let length = axes
                .iter()
                .fold(LENGTH, |length, &axis| length / shape[axis]);
            bencher.iter(|| reduce::sum(black_box(&x), &shape, axes, &mut y[..length]));
        });
    }
    group.finish();
}

criterion_group!(group, maps, others);
criterion_main!(group);

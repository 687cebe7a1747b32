//! One step of each rule on parameters of three sizes: the head and the whole of the tutorial's
//! network (784-32-32-32-10), and a large matrix.

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use regraft_optimizers::{Adam, Optimizer, ParameterInfo, ParameterUpdate};

fn networks() -> [(&'static str, Vec<Vec<usize>>); 3] {
    [
        ("330", vec![vec![32, 10], vec![10]]),
        (
            "27562",
            vec![
                vec![784, 32],
                vec![32],
                vec![32, 32],
                vec![32],
                vec![32, 32],
                vec![32],
                vec![32, 10],
                vec![10],
            ],
        ),
        ("1e7", vec![vec![10_000, 1_000]]),
    ]
}

/// Numbers between -1 and 1 that are not all alike.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 7919 + seed * 104_729) % 1000) as f32 / 500.0 - 1.0)
        .collect()
}

/// Measures steps of `optimizer`; the updates are collected once, as a training loop's source is.
fn measure(criterion: &mut Criterion, group: &str, name: &str, mut optimizer: Optimizer) {
    for (size, shapes) in networks() {
        let infos: Vec<ParameterInfo> = shapes
            .iter()
            .enumerate()
            .map(|(index, shape)| ParameterInfo::new(format!("layer_{index}/weight"), shape))
            .collect();
        let count: usize = infos.iter().map(ParameterInfo::len).sum();
        // Newton-Schulz on 10,000 × 1,000 takes seconds.
        if name == "muon" && count > 1_000_000 {
            continue;
        }
        let plan = optimizer.prepare(&infos).expect("distinct parameters");
        let mut values: Vec<_> = infos.iter().map(|info| numbers(info.len(), 1)).collect();
        let gradients: Vec<_> = infos.iter().map(|info| numbers(info.len(), 2)).collect();
        let mut source: Vec<ParameterUpdate<'_>> = values
            .iter_mut()
            .zip(&gradients)
            .map(|(value, gradient)| ParameterUpdate { value, gradient })
            .collect();
        let mut group = criterion.benchmark_group(format!("{group}/{size}"));
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                optimizer
                    .apply(&plan, black_box(&mut source))
                    .expect("a step")
            });
        });
        group.finish();
    }
}

fn rules(criterion: &mut Criterion) {
    for name in common::RULES {
        let optimizer = Optimizer::from_name(name).expect("a known name");
        measure(criterion, "step", name, optimizer);
    }
}

fn options(criterion: &mut Criterion) {
    let adam = || Adam::new(1e-3);
    for (name, builder) in [
        ("weight_decay", adam().weight_decay(0.01)),
        ("clipvalue", adam().clipvalue(0.5)),
        ("clipnorm", adam().clipnorm(1.0)),
        ("global_clipnorm", adam().global_clipnorm(1.0)),
        ("use_ema", adam().use_ema(true)),
        ("accumulation", adam().gradient_accumulation_steps(2)),
    ] {
        let optimizer = builder.build().expect("valid options");
        measure(criterion, "adam with", name, optimizer);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_millis(1000));
    targets = rules, options
}
criterion_main!(benches);

//! What one update of a metric costs. A training step of a small model takes about 5 µs, so a metric
//! must stay well below that.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use regraft::metrics::{Accuracy, Batch, Metric, Targets};

fn accuracy(criterion: &mut Criterion) {
    for (samples, classes) in [(32, 10), (256, 10), (32, 1000)] {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        let predictions: Vec<f32> = (0..samples * classes).map(|_| next() as f32).collect();
        let targets: Vec<i32> = (0..samples)
            .map(|_| (next() as usize % classes) as i32)
            .collect();
        let shape = [samples, classes];
        let mut metric = Accuracy::new();
        criterion.bench_function(&format!("accuracy {samples}x{classes}"), |bencher| {
            bencher.iter(|| {
                let batch = Batch {
                    targets: Targets::Classes(black_box(&targets)),
                    predictions: black_box(&predictions),
                    shape: black_box(&shape),
                    sample_weights: None,
                };
                metric.update(&batch)
            });
        });
    }
}

criterion_group!(benches, accuracy);
criterion_main!(benches);

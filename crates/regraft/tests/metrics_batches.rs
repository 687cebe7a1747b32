//! What holds for every metric: batches may be cut anywhere, and an update allocates nothing once
//! the metric has seen a batch.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use proptest::prelude::*;
use regraft::metrics::*;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the allocations of each thread, so that tests running beside each other do not matter.
struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged. Counting touches a `Cell` of
// this thread that needs neither allocation nor destruction.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` with this layout, in `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Metrics of one-hot targets, and of class numbers, over four classes.
fn metrics() -> [Vec<Box<dyn Metric>>; 2] {
    let named = |names: &[&str]| -> Vec<Box<dyn Metric>> {
        names.iter().map(|name| by_name(name).unwrap()).collect()
    };
    let mut values = named(&[
        "accuracy",
        "binary_accuracy",
        "top_k_categorical_accuracy",
        "true_positives",
        "precision",
        "f1_score",
        "auc",
        "mae",
        "root_mean_squared_error",
        "logcosh",
        "cosine_similarity",
        "r2_score",
        "binary_crossentropy",
        "categorical_crossentropy",
        "kl_divergence",
        "poisson",
        "hinge",
        "categorical_hinge",
        "mean",
    ]);
    values.push(Box::new(Precision::new().top_k(2)));
    values.push(Box::new(Auc::new().multi_label(true)));
    values.push(Box::new(Auc::new().thresholds([0.2, 0.3])));
    values.push(Box::new(ConfusionMatrix::new(4)));
    let mut classes = named(&[
        "accuracy",
        "sparse_top_k_categorical_accuracy",
        "sparse_categorical_crossentropy",
        "recall",
        "f1_score",
        "auc",
    ]);
    classes.push(Box::new(ConfusionMatrix::new(4)));
    [values, classes]
}

/// Samples of four classes.
#[derive(Debug)]
struct Samples {
    classes: Vec<i32>,
    one_hot: Vec<f32>,
    predictions: Vec<f32>,
    weights: Option<Vec<f32>>,
}

impl Samples {
    /// Updates with samples `from..to`.
    fn update(&self, metric: &mut dyn Metric, sparse: bool, from: usize, to: usize) {
        let targets = if sparse {
            Targets::Classes(&self.classes[from..to])
        } else {
            Targets::Values(&self.one_hot[4 * from..4 * to])
        };
        let batch = Batch {
            targets,
            predictions: &self.predictions[4 * from..4 * to],
            shape: &[to - from, 4],
            sample_weights: self.weights.as_ref().map(|weights| &weights[from..to]),
        };
        metric.update(&batch).unwrap();
    }
}

fn samples() -> impl Strategy<Value = Samples> {
    let sample = (
        0_i32..4,
        [0.01_f32..1.0, 0.01..1.0, 0.01..1.0, 0.01..1.0],
        0.0_f32..2.0,
    );
    (prop::collection::vec(sample, 2..40), any::<bool>()).prop_map(|(samples, weighted)| Samples {
        classes: samples.iter().map(|sample| sample.0).collect(),
        one_hot: samples
            .iter()
            .flat_map(|sample| (0..4).map(|class| f32::from(u8::from(sample.0 == class))))
            .collect(),
        predictions: samples.iter().flat_map(|sample| sample.1).collect(),
        weights: weighted.then(|| samples.iter().map(|sample| sample.2).collect()),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn batches_may_be_cut_anywhere(samples in samples(), cut in any::<prop::sample::Index>()) {
        let count = samples.classes.len();
        let cut = cut.index(count + 1);
        for (metrics, sparse) in metrics().into_iter().zip([false, true]) {
            for mut metric in metrics {
                samples.update(&mut *metric, sparse, 0, count);
                let whole = metric.results();
                metric.reset();
                samples.update(&mut *metric, sparse, 0, cut);
                samples.update(&mut *metric, sparse, cut, count);
                for (part, whole) in metric.results().iter().zip(&whole) {
                    let close = (part - whole).abs() <= 1e-9 * whole.abs().max(1.0);
                    let both_nan = part.is_nan() && whole.is_nan();
                    prop_assert!(close || both_nan, "{}: {part} {whole}", metric.name());
                }
            }
        }
    }

    #[test]
    fn an_update_allocates_nothing_once_warm(samples in samples()) {
        let count = samples.classes.len();
        for (metrics, sparse) in metrics().into_iter().zip([false, true]) {
            for mut metric in metrics {
                samples.update(&mut *metric, sparse, 0, count);
                let before = ALLOCATIONS.get();
                samples.update(&mut *metric, sparse, 0, count);
                metric.reset();
                samples.update(&mut *metric, sparse, 0, count);
                let allocations = ALLOCATIONS.get() - before;
                prop_assert_eq!(allocations, 0, "{} allocates", metric.name());
            }
        }
    }
}

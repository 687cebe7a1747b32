//! A limit for the buffers of a step: memory stays where the plan says, the numbers stay in every bit.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use regraft::layers::{
    Add, BatchNormalization, Conv2D, Dense, Dropout, Functional, GlobalAveragePooling2D, LayerExt,
    ReLU,
};
use regraft::ndarray::{Array1, Array4};
use regraft::{Error, Fit, Model, Verbosity};

/// The system's allocator, which knows how much is in use and how much ever was.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged. Counting touches two atomics alone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(used, Ordering::Relaxed);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `pointer` comes from `alloc` above, and thus from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SAMPLES: usize = 24;
const BATCH: usize = 16;

/// Residual blocks whose inner values are four times as wide, with dropout.
fn network() -> Model {
    let mut f = Functional::with_seed(3);
    let x = f.input([20, 20, 3]);
    let mut h = f.apply(Conv2D::new(12, 3).padding("same"), &[x]).unwrap();
    for _ in 0..5 {
        let wide = Conv2D::new(48, 1).use_bias(false);
        let inner = f.apply(wide, &[h]).unwrap();
        let inner = f.apply(BatchNormalization::new(), &[inner]).unwrap();
        let inner = f.apply(ReLU::new().max_value(6.0), &[inner]).unwrap();
        let inner = f.apply(Dropout::new(0.1), &[inner]).unwrap();
        let inner = f
            .apply(Conv2D::new(12, 3).padding("same"), &[inner])
            .unwrap();
        let inner = f.apply(BatchNormalization::new(), &[inner]).unwrap();
        h = f.apply(Add, &[h, inner]).unwrap();
    }
    let h = f.apply(GlobalAveragePooling2D::new(), &[h]).unwrap();
    let y = f.apply(Dense::new(3).named("head"), &[h]).unwrap();
    let mut model = f.model(&[x], &[y]).unwrap();
    let loss = regraft::losses::SparseCategoricalCrossentropy::from_logits();
    model.compile("adam", loss, ["accuracy"]).unwrap();
    model
}

fn data() -> (Array4<f32>, Array1<i32>) {
    let x = Array4::from_shape_fn((SAMPLES, 20, 20, 3), |(n, i, j, c)| {
        ((n * 1200 + i * 60 + j * 3 + c) as f32 * 0.317).sin()
    });
    (x, Array1::from_shape_fn(SAMPLES, |n| (n % 3) as i32))
}

fn fit<'a>() -> Fit<'a> {
    let fit = Fit::new().epochs(2).seed(5).batch_size(BATCH);
    fit.verbosity(Verbosity::Silent)
}

/// The bits of all weights after training, and the most memory that it took.
fn train(limit: Option<usize>) -> (Vec<Vec<u32>>, usize) {
    let (x, y) = data();
    let mut model = network();
    let options = match limit {
        Some(limit) => fit().memory_limit(limit),
        None => fit(),
    };
    let before = USED.load(Ordering::SeqCst);
    MOST.store(before, Ordering::SeqCst);
    model.fit(&x, &y, options).unwrap();
    let most = MOST.load(Ordering::SeqCst) - before;
    let bits = |value: &regraft::Tensor| value.as_slice().iter().map(|x| x.to_bits()).collect();
    (
        model.weights().iter().map(|it| bits(it.value())).collect(),
        most,
    )
}

/// Of a limit that is too low, what would do.
fn least(error: &Error) -> usize {
    let text = error.to_string();
    let number = text
        .split("at least ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn memory_stays_within_the_limit_and_every_bit_stays() {
    let model = network();
    let plan = model.plan(SAMPLES, BATCH).unwrap();
    // What threads keep for themselves is there then.
    train(None);
    let near = |most: usize, planned: usize| {
        let apart = most.abs_diff(planned) as f64 / planned as f64;
        assert!(apart < 0.1, "{most} bytes, planned {planned}");
    };
    let (weights, most) = train(None);
    near(most, plan.buffer_bytes);
    let error = model.plan_within(SAMPLES, BATCH, 1000).unwrap_err();
    assert!(matches!(error, Error::Setting(_)), "{error}");
    let least = least(&error);
    println!("{} without a limit, {least} at least", plan.buffer_bytes);
    assert!(2 * least < plan.buffer_bytes, "{least}");
    let mut again = 0;
    for limit in [
        plan.buffer_bytes * 8 / 10,
        plan.buffer_bytes * 6 / 10,
        least,
    ] {
        let within = model.plan_within(SAMPLES, BATCH, limit).unwrap();
        assert!(within.buffer_bytes <= limit, "{within}");
        // The tighter, the more is computed again, and never more than the forward pass.
        let count = within.operations_computed_again;
        assert!(count > 0 && count >= again, "{within}");
        assert!(2 * count < plan.operations_per_epoch, "{within}");
        assert_eq!(
            within.operations_per_epoch,
            plan.operations_per_epoch + count
        );
        assert!(within.to_string().contains("computed again"), "{within}");
        again = count;
        let (limited, most) = train(Some(limit));
        assert_eq!(limited, weights);
        near(most, within.buffer_bytes);
    }
    // One that is no limit changes nothing.
    let same = model
        .plan_within(SAMPLES, BATCH, plan.buffer_bytes)
        .unwrap();
    assert_eq!(same, plan);
    // `fit` says the same, before it changes anything.
    let (x, y) = data();
    let mut model = network();
    let error = model
        .fit(&x, &y, fit().memory_limit(least - 1))
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("at least {least} bytes")), "{text}");
    assert!(text.contains("batch_size"), "{text}");
}

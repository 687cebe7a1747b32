//! A step allocates nothing once the optimizer is warm.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use regraft_optimizers::{Adam, Optimizer, ParameterInfo, ParameterUpdate};

thread_local! {
    /// Allocations of this thread. Needs no allocation itself.
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, which counts.
struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps to `alloc`'s contract, which is this one's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` comes from `alloc` above, and thus from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations in the third step.
fn allocations(mut optimizer: Optimizer) -> usize {
    let infos = [
        ParameterInfo::new("dense/kernel", [32, 10]),
        ParameterInfo::new("dense/bias", [10]),
    ];
    let plan = optimizer.prepare(&infos).unwrap();
    let (mut kernel, mut bias) = ([0.5; 320], [0.5; 10]);
    let gradient = [0.25; 320];
    let mut source = [
        ParameterUpdate {
            value: &mut kernel,
            gradient: &gradient,
        },
        ParameterUpdate {
            value: &mut bias,
            gradient: &gradient[..10],
        },
    ];
    optimizer.apply(&plan, &mut source).unwrap();
    optimizer.apply(&plan, &mut source).unwrap();
    let before = COUNT.get();
    optimizer.apply(&plan, &mut source).unwrap();
    COUNT.get() - before
}

#[test]
fn a_warm_step_allocates_nothing() {
    // Muon's matrix products may pack their operands.
    for name in common::RULES.into_iter().filter(|&name| name != "muon") {
        assert_eq!(
            allocations(Optimizer::from_name(name).unwrap()),
            0,
            "{name}"
        );
    }
    for builder in [
        Adam::new(0.1).clipnorm(1.0).weight_decay(0.1),
        Adam::new(0.1).global_clipnorm(1.0).use_ema(true),
        Adam::new(0.1).clipvalue(1.0).gradient_accumulation_steps(2),
    ] {
        assert_eq!(allocations(builder.build().unwrap()), 0);
    }
    let lamb = regraft_optimizers::Lamb::new(0.1).clipvalue(0.1);
    assert_eq!(allocations(lamb.build().unwrap()), 0);
    assert!(COUNT.get() > 0, "the counter counts");
}

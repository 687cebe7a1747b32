//! Every instruction set of this machine by itself, and the same bytes as on other machines.

use std::cell::Cell;

use super::{Avx2, Avx512, Isa, Neon, Simd128};
use crate::kernels::convolution::{
    ConvolutionSizes, KernelShape, convolution, input_gradient, weight_gradient,
};
use crate::kernels::matmul::{Matrix, matmul};
use crate::kernels::random::{self, Key};
use crate::kernels::window::Window;
use crate::kernels::{elementwise, math, on_one_thread, reduce, softmax};

thread_local! {
    static INSTEAD: Cell<Option<Isa>> = const { Cell::new(None) };
}

/// What a test put in the place of the widest set.
pub(super) fn instead() -> Option<Isa> {
    INSTEAD.get()
}

/// Does `work` with the kernels of one instruction set, on this thread alone.
pub(in crate::kernels) fn with<R>(isa: Isa, work: impl FnOnce() -> R) -> R {
    /// Puts back what was, also after a panic.
    struct Before(Option<Isa>);
    impl Drop for Before {
        fn drop(&mut self) {
            INSTEAD.set(self.0);
        }
    }
    let _before = Before(INSTEAD.replace(Some(isa)));
    on_one_thread(work)
}

/// The instruction sets that this machine has.
pub(in crate::kernels) fn instruction_sets() -> Vec<Isa> {
    let others = [
        Avx2::new().map(Isa::Avx2),
        Avx512::new().map(Isa::Avx512),
        Neon::new().map(Isa::Neon),
        Simd128::new().map(Isa::Simd128),
    ];
    let others = others.into_iter().flatten();
    [Isa::Portable, Isa::Exact]
        .into_iter()
        .chain(others)
        .collect()
}

/// The FNV-1a hash of some results.
#[derive(PartialEq, Eq)]
struct Digest(u64);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

impl Digest {
    fn new() -> Self {
        Digest(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, values: &[f32]) {
        for byte in values.iter().flat_map(|x| x.to_bits().to_le_bytes()) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

fn numbers(length: usize, stream: u64) -> Vec<f32> {
    let mut numbers = vec![0.0; length];
    random::uniform(Key::new(11, stream), 0, &mut numbers);
    numbers.iter().map(|u| u * 2.0 - 1.0).collect()
}

/// Products of matrices and convolutions of each kind with their gradients.
fn products() -> Digest {
    let mut digest = Digest::new();
    for (m, k, n) in [(1, 70, 33), (5, 300, 61), (30, 41, 130), (67, 9, 3)] {
        let (a, b) = (numbers(m * k, 0), numbers(k * n, 1));
        let mut c = vec![0.0; m * n];
        matmul(Matrix::new(&a, m, k), Matrix::new(&b, k, n), &mut c);
        digest.add(&c);
    }
    for (channels, filters, groups, input, strides, size) in [
        (3, 19, 1, [1, 13, 11], [1, 2, 2], [1, 3, 3]),
        (37, 21, 1, [1, 9, 7], [1, 1, 1], [1, 1, 1]),
        (21, 21, 21, [1, 12, 10], [1, 1, 1], [1, 3, 3]),
        (6, 8, 2, [4, 6, 7], [1, 2, 1], [2, 3, 3]),
    ] {
        let window = Window {
            strides,
            ..Window::new(&size)
        };
        let kernel = KernelShape {
            channels,
            filters,
            groups,
            window: window.same_padding(&input),
        };
        let sizes = ConvolutionSizes::new(2, input, kernel).unwrap();
        let x = numbers(sizes.input_len(), 2);
        let weights = numbers(kernel.len(), 3);
        let dy = numbers(sizes.output_len(), 4);
        let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
        let mut dweights = vec![0.0; weights.len()];
        convolution(&sizes, &x, &weights, &mut y);
        input_gradient(&sizes, &dy, &weights, &mut dx);
        weight_gradient(&sizes, &x, &dy, &mut dweights);
        [y, dx, dweights].iter().for_each(|part| digest.add(part));
    }
    digest
}

/// What has no products that could be fused: functions, sums, softmax.
fn others() -> Digest {
    let mut digest = Digest::new();
    let x: Vec<f32> = numbers(60 * 37, 5).iter().map(|x| 9.0 * x).collect();
    let mut y = vec![0.0; x.len()];
    for f in [
        math::exp,
        math::tanh,
        math::sigmoid,
        math::softplus,
        math::erf,
        math::gelu,
    ] {
        elementwise::map(&x, &mut y, f);
        digest.add(&y);
    }
    for columns in [37, 10, 222] {
        softmax::softmax(&x, columns, &mut y);
        digest.add(&y);
        softmax::log_softmax(&x, columns, &mut y);
        digest.add(&y);
        let rows = x.len() / columns;
        let mut sums = vec![0.0; rows];
        softmax::log_sum_exp(&x, columns, &mut sums);
        digest.add(&sums);
        reduce::sum(&x, &[rows, columns], &[1], &mut sums);
        digest.add(&sums);
        reduce::variance(&x, &[rows, columns], &[1], &mut sums);
        digest.add(&sums);
    }
    digest
}

/// What every machine gives, with fused multiply-add and without; [`others`] is the same for both.
const FUSED: Digest = Digest(0x2241_421c_9b2b_eb32);
const NOT_FUSED: Digest = Digest(0x00df_4122_9248_0d2a);
const OTHERS: Digest = Digest(0x8daf_c193_67e4_5b38);

#[test]
#[cfg_attr(miri, ignore = "too much arithmetic")]
fn every_instruction_set_gives_the_bytes_that_other_machines_gave() {
    let sets = instruction_sets();
    let received = sets
        .iter()
        .map(|&isa| (isa, with(isa, products), with(isa, others)));
    let expected = sets.iter().map(|&isa| {
        let products = if isa.fused() { FUSED } else { NOT_FUSED };
        (isa, products, OTHERS)
    });
    let (received, expected): (Vec<_>, Vec<_>) = (received.collect(), expected.collect());
    assert_eq!(received, expected);
}

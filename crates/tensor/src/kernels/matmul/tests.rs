//! Every product, on every instruction set of this machine, against one chain per element.

use super::tile::Kernels;
use super::*;
use crate::kernels::isa::tests::instruction_sets;
use crate::kernels::math;
use proptest::prelude::*;

fn numbers(length: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// What the module promises, spelled out.
fn chains(isa: Isa, a: Matrix<'_>, b: Matrix<'_>, c: &mut [f32]) {
    for i in 0..a.rows {
        for j in 0..b.columns {
            let c = &mut c[i * b.columns + j];
            for k in 0..a.columns {
                let (a, b) = (a.get(i, k), b.get(k, j));
                *c = if isa.fused() {
                    a.mul_add(b, *c)
                } else {
                    a * b + *c
                };
            }
        }
    }
}

fn same_bits(received: &[f32], expected: &[f32]) -> bool {
    received.len() == expected.len()
        && received
            .iter()
            .zip(expected)
            .all(|(a, b)| a.to_bits() == b.to_bits())
}

/// A matrix over `data` with gaps, possibly in columns.
fn strided(data: &[f32], rows: usize, columns: usize, gap: usize, across: bool) -> Matrix<'_> {
    let (row_stride, column_stride) = if across {
        (1, rows + gap)
    } else {
        (columns + gap, 1)
    };
    Matrix {
        data,
        rows,
        columns,
        row_stride,
        column_stride,
    }
}

/// Products of every kind for one problem.
fn check(m: usize, k: usize, n: usize, gaps: (usize, usize), across: (bool, bool)) {
    let left = numbers((m + gaps.0) * (k + gaps.0), 1);
    let right = numbers((k + gaps.1) * (n + gaps.1), 2);
    let a = strided(&left, m, k, gaps.0, across.0);
    let b = strided(&right, k, n, gaps.1, across.1);
    let bias = numbers(n, 3);
    for isa in instruction_sets() {
        let kernels = Kernels::of(isa);
        let packed = PackedMatrix::for_kernels(kernels, b);
        let name = format!("{isa:?} {m}x{k}x{n} {gaps:?} {across:?}");
        for add in [false, true] {
            let before = if add {
                numbers(m * n, 4)
            } else {
                vec![0.0; m * n]
            };
            let mut expected = before.clone();
            chains(isa, a, b, &mut expected);
            for right in [Right::Matrix(b), Right::Packed(&packed)] {
                let mut c = if add {
                    before.clone()
                } else {
                    vec![f32::NAN; m * n]
                };
                run(kernels, a, right, &mut c, add, &Epilogue::default());
                assert!(same_bits(&c, &expected), "{name} {add}");
            }
        }
        let mut expected = vec![0.0; m * n];
        chains(isa, a, b, &mut expected);
        for activation in [EpilogueActivation::Relu, EpilogueActivation::Tanh] {
            let mut c = vec![f32::NAN; m * n];
            let epilogue = Epilogue {
                bias: Some(&bias),
                activation,
            };
            run(kernels, a, Right::Matrix(b), &mut c, false, &epilogue);
            let f = if activation == EpilogueActivation::Relu {
                math::relu
            } else {
                math::tanh
            };
            let expected: Vec<f32> = expected
                .iter()
                .enumerate()
                .map(|(i, &x)| f(x + bias[i % n.max(1)]))
                .collect();
            assert!(same_bits(&c, &expected), "{name} {activation:?}");
        }
    }
}

/// Rows, and how much is added up; Miri takes its time.
const MOST: usize = if cfg!(miri) { 9 } else { 40 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 150 }))]
    #[test]
    fn every_element_is_one_chain(
        m in 0..MOST, k in 0..MOST, n in 0..2 * MOST,
        gaps in (0usize..4, 0usize..4), across in any::<(bool, bool)>(),
    ) {
        check(m, k, n, gaps, across);
    }
}

/// Sizes beyond every block, so that the loops around the tile kernel take each of their ways.
#[test]
#[cfg_attr(miri, ignore = "too much arithmetic")]
fn blocks_join_without_a_trace() {
    for across in [(false, false), (true, false), (false, true), (true, true)] {
        check(1, 1100, 300, (0, 0), across);
        check(8, 500, 1000, (0, 1), across);
        check(61, 401, 307, (1, 0), across);
        check(400, 390, 40, (0, 0), across);
        check(37, 30, 2100, (0, 2), across);
    }
}

#[test]
#[cfg_attr(miri, ignore = "too much arithmetic")]
fn threads_do_not_show() {
    for (m, k, n) in [(300, 100, 200), (20, 300, 700), (2000, 64, 32)] {
        let (left, right) = (numbers(m * k, 5), numbers(k * n, 6));
        let (a, b) = (Matrix::new(&left, m, k), Matrix::new(&right, k, n));
        let packed = PackedMatrix::new(b);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let (mut c, mut d) = (vec![0.0; m * n], vec![0.0; m * n]);
                matmul(a, b, &mut c);
                matmul_packed(a, &packed, &mut d);
                assert!(same_bits(&c, &d));
                c
            })
        };
        let alone = on(1);
        assert!(same_bits(&on(3), &alone));
        // A row computed alone has the bits that it has among the others.
        for row in [0, m / 2, m - 1] {
            let mut c = vec![0.0; n];
            matmul(Matrix::new(&left[row * k..], 1, k), b, &mut c);
            assert!(same_bits(&c, &alone[row * n..][..n]));
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "arithmetic of another crate")]
fn agrees_with_another_implementation() {
    let (m, k, n) = (23, 65, 41);
    let (left, right) = (numbers(m * k, 7), numbers(k * n, 8));
    let (a, b) = (
        Matrix::new(&left, k, m).transposed(),
        Matrix::new(&right, k, n),
    );
    let (mut c, mut d) = (vec![0.0; m * n], vec![0.0; m * n]);
    matmul(a, b, &mut c);
    reference(a, b, &mut d);
    assert!(c.iter().zip(&d).all(|(c, d)| (c - d).abs() < 1e-5));
}

#[test]
fn stacks_are_products_one_by_one() {
    let (batch, m, k, n) = (5, 3, 7, 4);
    let (left, right) = (numbers(batch * m * k, 9), numbers(k * n, 10));
    let mut c = vec![0.0; batch * m * n];
    let b = Matrix::new(&right, k, n);
    matmul_batched(batch, Matrix::new(&left, m, k), m * k, b, 0, &mut c);
    for (index, c) in c.chunks(m * n).enumerate() {
        let mut expected = vec![0.0; m * n];
        matmul(Matrix::new(&left[index * m * k..], m, k), b, &mut expected);
        assert!(same_bits(c, &expected));
    }
}

#[test]
#[should_panic(expected = "too short")]
fn memory_that_is_too_short_is_refused() {
    let data = [0.0; 5];
    let a = Matrix {
        data: &data,
        rows: 2,
        columns: 3,
        row_stride: 3,
        column_stride: 1,
    };
    matmul(a, Matrix::new(&[0.0; 3], 3, 1), &mut [0.0; 2]);
}

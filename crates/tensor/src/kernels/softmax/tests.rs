//! Against double precision; rows alone and side by side; two passes and one.

use super::*;
use crate::kernels::random::{Key, normal};
use proptest::prelude::*;

fn exact(row: &[f32]) -> (f64, Vec<f64>) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = row.iter().map(|&x| f64::from(x - max).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    let log = f64::from(max) + sum.ln();
    (log, exponentials.iter().map(|e| e / sum).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn agrees_with_double_precision(
        rows in (1usize..70).prop_flat_map(|columns| prop::collection::vec(
            (prop::collection::vec(-30.0f32..30.0, columns), 0..columns as i32, -2.0f32..2.0),
            1..5,
        ))
    ) {
        let columns = rows[0].0.len();
        let x: Vec<f32> = rows.iter().flat_map(|row| row.0.clone()).collect();
        let labels: Vec<i32> = rows.iter().map(|row| row.1).collect();
        let scale: Vec<f32> = rows.iter().map(|row| row.2).collect();
        let mut probabilities = vec![0.0; x.len()];
        let mut logs = vec![0.0; x.len()];
        let mut gradient = vec![0.0; x.len()];
        let (mut sums, mut loss) = (vec![0.0; rows.len()], vec![0.0; rows.len()]);
        softmax(&x, columns, &mut probabilities);
        log_softmax(&x, columns, &mut logs);
        log_sum_exp(&x, columns, &mut sums);
        softmax_cross_entropy(&x, columns, &labels, &mut loss).unwrap();
        softmax_cross_entropy_gradient(&x, columns, &labels, &scale, &mut gradient).unwrap();
        for (r, (row, label, scale)) in rows.iter().enumerate() {
            let (log, expected) = exact(row);
            prop_assert!((f64::from(sums[r]) - log).abs() < 4e-6);
            prop_assert!((f64::from(loss[r]) - (log - f64::from(row[*label as usize]))).abs() < 8e-6);
            for c in 0..columns {
                let at = r * columns + c;
                let hot = f64::from(c as i32 == *label);
                prop_assert!((f64::from(probabilities[at]) - expected[c]).abs() < 1e-6);
                prop_assert!((f64::from(logs[at]) - (f64::from(row[c]) - log)).abs() < 1e-5);
                prop_assert!((f64::from(gradient[at]) - (expected[c] - hot) * f64::from(*scale)).abs() < 2e-6);
            }
            // Alone, the row gives the same bits.
            let mut alone = vec![0.0; columns];
            softmax(row, columns, &mut alone);
            prop_assert_eq!(&alone, &probabilities[r * columns..(r + 1) * columns]);
        }
    }
}

#[test]
fn one_scale_counts_for_every_row() {
    let (rows, columns) = (150, 3);
    let x: Vec<f32> = (0..rows * columns).map(|i| (i as f32).sin()).collect();
    let labels: Vec<i32> = (0..rows as i32).map(|row| row % 3).collect();
    let (mut one, mut each) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    softmax_cross_entropy_gradient(&x, columns, &labels, &[0.25], &mut one).unwrap();
    softmax_cross_entropy_gradient(&x, columns, &labels, &vec![0.25; rows], &mut each).unwrap();
    assert_eq!(one, each);
}

#[test]
fn huge_logits_stay_finite() {
    let x = [3e38, -3e38, 0.0, f32::NEG_INFINITY, 1.0, 1.0];
    let mut y = [0.0; 6];
    softmax(&x, 3, &mut y);
    assert_eq!(y[..3], [1.0, 0.0, 0.0]);
    assert_eq!(y[3..], [0.0, 0.5, 0.5]);
    let mut sums = [0.0; 2];
    log_sum_exp(
        &[f32::INFINITY, 0.0, f32::NEG_INFINITY, f32::NEG_INFINITY],
        2,
        &mut sums,
    );
    assert_eq!(sums, [f32::INFINITY, f32::NEG_INFINITY]);
}

#[test]
fn a_label_that_is_no_class_is_named() {
    let mut loss = [0.0; 2];
    let error = softmax_cross_entropy(&[0.0; 6], 3, &[2, 3], &mut loss).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("label 1") && text.contains('3'), "{text}");
    assert!(softmax_cross_entropy(&[0.0; 6], 3, &[-1, 0], &mut loss).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn one_pass_gives_the_bits_of_two(
        rows in 0usize..150,
        columns in prop_oneof![1usize..40, Just(1000usize), 2040..2060usize, Just(4200usize)],
        seed in 0u64..1000,
        one_scale in any::<bool>(),
    ) {
        let rows = if columns > 40 { rows % 5 } else { rows };
        let mut x = vec![0.0; rows * columns];
        normal(Key::new(seed, 0), 0, &mut x);
        // Of many values the sum is little more than one, so that its logarithm shows every bit.
        match columns > 1000 {
            true => x.chunks_mut(columns).for_each(|row| row[0] += 14.0),
            false => x.iter_mut().for_each(|x| *x *= 8.0),
        }
        let labels: Vec<i32> = (0..rows).map(|row| ((row * 7 + seed as usize) % columns) as i32).collect();
        let scale: Vec<f32> = (0..if one_scale { 1 } else { rows }).map(|row| (row as f32).cos()).collect();
        let mut both = vec![0.0; rows * (columns + 1)];
        softmax_and_cross_entropy(&x, columns, &labels, &mut both).unwrap();
        let (mut loss, mut expected) = (vec![0.0; rows], vec![0.0; rows]);
        cross_entropy_in(&both, columns, &mut loss);
        softmax_cross_entropy(&x, columns, &labels, &mut expected).unwrap();
        prop_assert_eq!(bits(&loss), bits(&expected));
        let (mut gradient, mut expected) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        cross_entropy_gradient_from(&both, columns, &labels, &scale, &mut gradient).unwrap();
        softmax_cross_entropy_gradient(&x, columns, &labels, &scale, &mut expected).unwrap();
        prop_assert_eq!(bits(&gradient), bits(&expected));
    }

    /// Rows of a few values have the sums of rows that are filled up with what does not count.
    #[test]
    fn side_by_side_a_row_has_the_bits_that_it_has_alone(
        rows in 1usize..150, columns in 1usize..17, seed in 0u64..1000
    ) {
        let mut x = vec![0.0; rows * columns];
        normal(Key::new(seed, 1), 0, &mut x);
        x.iter_mut().for_each(|x| *x *= 8.0);
        // As many columns as are not taken side by side.
        let wide = 17;
        let mut filled = vec![f32::NEG_INFINITY; rows * wide];
        for (filled, x) in filled.chunks_mut(wide).zip(x.chunks(columns)) {
            filled[..columns].copy_from_slice(x);
        }
        let labels: Vec<i32> = (0..rows).map(|row| ((row * 5 + seed as usize) % columns) as i32).collect();
        let (mut y, mut expected) = (x.clone(), filled.clone());
        softmax(&x, columns, &mut y);
        softmax(&filled, wide, &mut expected);
        for (y, expected) in y.chunks(columns).zip(expected.chunks(wide)) {
            prop_assert_eq!(bits(y), bits(&expected[..columns]));
        }
        let (mut loss, mut of_filled) = (vec![0.0; rows], vec![0.0; rows]);
        softmax_cross_entropy(&x, columns, &labels, &mut loss).unwrap();
        softmax_cross_entropy(&filled, wide, &labels, &mut of_filled).unwrap();
        prop_assert_eq!(bits(&loss), bits(&of_filled));
        softmax_cross_entropy_gradient(&x, columns, &labels, &loss, &mut y).unwrap();
        softmax_cross_entropy_gradient(&filled, wide, &labels, &loss, &mut expected).unwrap();
        for (y, expected) in y.chunks(columns).zip(expected.chunks(wide)) {
            prop_assert_eq!(bits(y), bits(&expected[..columns]));
        }
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

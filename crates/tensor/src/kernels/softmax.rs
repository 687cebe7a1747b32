//! Softmax and its relatives over the last axis, and the loss that goes with it.
//!
//! Every row is shifted by its maximum first, so that no exponential overflows. A row's result
//! depends on that row alone: the same bits in any batch.

use super::isa::vectorised;
use super::math;
use super::parallel::parts;
use super::reduce::{row_max, row_sum};
use crate::{Detail, Error, Result};

/// Work of one element in units of a cheap elementwise operation.
const COST: usize = 8;

/// Writes `exp(x − max(x))` and returns the maximum and the sum of the exponentials.
#[inline(always)]
fn exponentials(x: &[f32], y: &mut [f32]) -> (f32, f32) {
    let max = row_max(x);
    for (y, &x) in y.iter_mut().zip(x) {
        *y = math::exp(x - max);
    }
    (max, row_sum(y))
}

vectorised! {
    fn softmax_rows[](x: &[f32], columns: usize, y: &mut [f32]) {
        for (x, y) in x.chunks_exact(columns).zip(y.chunks_exact_mut(columns)) {
            let (_, sum) = exponentials(x, y);
            for y in y {
                *y /= sum;
            }
        }
    }
}

vectorised! {
    fn log_softmax_rows[](x: &[f32], columns: usize, y: &mut [f32]) {
        for (x, y) in x.chunks_exact(columns).zip(y.chunks_exact_mut(columns)) {
            let (max, sum) = exponentials(x, y);
            let log = math::ln(sum);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x - max) - log;
            }
        }
    }
}

/// Values of a row whose exponentials are kept on the stack at a time.
const PIECE: usize = 256;

/// `(max, ln Σ exp(x − max))`.
#[inline(always)]
fn log_sum(x: &[f32]) -> (f32, f32) {
    let max = row_max(x);
    let mut sum = 0.0;
    let mut piece = [0.0; PIECE];
    for x in x.chunks(PIECE) {
        let piece = &mut piece[..x.len()];
        for (y, &x) in piece.iter_mut().zip(x) {
            *y = math::exp(x - max);
        }
        sum += row_sum(piece);
    }
    (max, math::ln(sum))
}

vectorised! {
    fn log_sum_exp_rows[](x: &[f32], columns: usize, out: &mut [f32]) {
        for (x, out) in x.chunks_exact(columns).zip(out) {
            let (max, log) = log_sum(x);
            // Infinite maxima would give ∞ − ∞ above.
            *out = if max.is_infinite() { max } else { max + log };
        }
    }
}

vectorised! {
    fn cross_entropy_rows[](x: &[f32], columns: usize, labels: &[i32], loss: &mut [f32]) {
        for ((x, &label), loss) in x.chunks_exact(columns).zip(labels).zip(loss) {
            let (max, log) = log_sum(x);
            *loss = log - (x[label as usize] - max);
        }
    }
}

vectorised! {
    fn cross_entropy_gradient_rows[](
        x: &[f32], columns: usize, labels: &[i32], scale: &[f32], gradient: &mut [f32]
    ) {
        let rows = x.chunks_exact(columns).zip(gradient.chunks_exact_mut(columns));
        for ((x, gradient), (&label, &scale)) in rows.zip(labels.iter().zip(scale)) {
            let (_, sum) = exponentials(x, gradient);
            let label = label as usize;
            let at_label = (gradient[label] / sum - 1.0) * scale;
            for gradient in gradient.iter_mut() {
                *gradient = *gradient / sum * scale;
            }
            gradient[label] = at_label;
        }
    }
}

/// `y[r, c] = exp(x[r, c]) / Σ_c exp(x[r, c])` for rows of `columns` values.
///
/// # Panics
/// If the lengths differ; likewise for the other functions here.
pub fn softmax(x: &[f32], columns: usize, y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "softmax: lengths of x and y");
    if !x.is_empty() {
        parts(y, columns, COST, |start, y| {
            softmax_rows(&x[start..start + y.len()], columns, y);
        });
    }
}

/// `y = x − logsumexp(x)` for rows of `columns` values: the logarithm of [`softmax`].
pub fn log_softmax(x: &[f32], columns: usize, y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "log_softmax: lengths of x and y");
    if !x.is_empty() {
        parts(y, columns, COST, |start, y| {
            log_softmax_rows(&x[start..start + y.len()], columns, y);
        });
    }
}

/// `out[r] = ln Σ_c exp(x[r, c])` for rows of `columns` values; −∞ over no values.
pub fn log_sum_exp(x: &[f32], columns: usize, out: &mut [f32]) {
    assert_eq!(x.len(), out.len() * columns, "log_sum_exp: lengths");
    if columns == 0 {
        return out.fill(f32::NEG_INFINITY);
    }
    parts(out, 1, COST * columns, |start, out| {
        log_sum_exp_rows(&x[start * columns..], columns, out);
    });
}

fn check_labels(labels: &[i32], classes: usize) -> Result<()> {
    let wrong = |label: &i32| usize::try_from(*label).map_or(true, |label| label >= classes);
    match labels.iter().position(wrong) {
        None => Ok(()),
        Some(place) => Err(Error::Index(
            Detail::new(
                format!("label {place}"),
                format!("a class from 0 to below {classes}"),
                labels[place],
            )
            .help("labels count from 0; check the number of units of the last layer"),
        )),
    }
}

/// `loss[r] = logsumexp(logits[r]) − logits[r, labels[r]]`: the cross-entropy between the softmax
/// of each row of `classes` logits and its label.
///
/// # Errors
/// [`Error::Index`] if a label is not a class.
pub fn softmax_cross_entropy(
    logits: &[f32],
    classes: usize,
    labels: &[i32],
    loss: &mut [f32],
) -> Result<()> {
    assert_eq!(
        logits.len(),
        classes * labels.len(),
        "cross-entropy: logits"
    );
    assert_eq!(labels.len(), loss.len(), "cross-entropy: loss");
    check_labels(labels, classes)?;
    parts(loss, 1, COST * classes, |start, loss| {
        let end = start + loss.len();
        let logits = &logits[start * classes..end * classes];
        cross_entropy_rows(logits, classes.max(1), &labels[start..end], loss);
    });
    Ok(())
}

/// `gradient[r, c] = (softmax(logits)[r, c] − [c = labels[r]]) · scale[r]`: the gradient of
/// [`softmax_cross_entropy`] when the gradient of `loss[r]` is `scale[r]`.
///
/// # Errors
/// [`Error::Index`] if a label is not a class.
pub fn softmax_cross_entropy_gradient(
    logits: &[f32],
    classes: usize,
    labels: &[i32],
    scale: &[f32],
    gradient: &mut [f32],
) -> Result<()> {
    assert_eq!(
        logits.len(),
        classes * labels.len(),
        "cross-entropy: logits"
    );
    assert_eq!(labels.len(), scale.len(), "cross-entropy: scale");
    assert_eq!(logits.len(), gradient.len(), "cross-entropy: gradient");
    check_labels(labels, classes)?;
    if gradient.is_empty() {
        return Ok(());
    }
    parts(gradient, classes, COST, |start, gradient| {
        let (first, last) = (start / classes, (start + gradient.len()) / classes);
        cross_entropy_gradient_rows(
            &logits[start..start + gradient.len()],
            classes,
            &labels[first..last],
            &scale[first..last],
            gradient,
        );
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
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
}

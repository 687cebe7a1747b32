//! Softmax and its relatives over the last axis, and the loss that goes with it.
//!
//! Every row is shifted by its maximum first, so that no exponential overflows. A row's result
//! depends on that row alone: the same bits in any batch.

use super::isa::vectorised;
use super::math;
use super::parallel::parts;
use crate::{Detail, Error, Result};

/// Work of one element in units of a cheap elementwise operation.
const COST: usize = 8;

/// Values of a row that are computed at a time. A row's last piece is filled up with values that
/// do not count.
const PIECE: usize = 16;

/// `MASKS[n]` has all bits set in the first `n` lanes. Bits rather than conditions, because those
/// the compiler makes into one wide operation.
static MASKS: [[u32; PIECE]; PIECE + 1] = {
    let mut masks = [[0; PIECE]; PIECE + 1];
    let mut count = 0;
    while count <= PIECE {
        let mut lane = 0;
        while lane < count {
            masks[count][lane] = u32::MAX;
            lane += 1;
        }
        count += 1;
    }
    masks
};

/// The first `count` lanes of `a`, and the others of `b`.
#[inline(always)]
fn blend(count: usize, a: &[f32; PIECE], b: &[f32; PIECE]) -> [f32; PIECE] {
    let mask = &MASKS[count];
    let mut blended = [0.0; PIECE];
    for lane in 0..PIECE {
        let (a, b) = (a[lane].to_bits(), b[lane].to_bits());
        blended[lane] = f32::from_bits((a & mask[lane]) | (b & !mask[lane]));
    }
    blended
}

/// The first `count` values of `x`, and `filler` behind.
#[inline(always)]
fn load(x: &[f32], count: usize, filler: f32) -> [f32; PIECE] {
    match x.first_chunk() {
        // One wide read that may run on into the next row.
        Some(wide) => blend(count, wide, &[filler; PIECE]),
        None => {
            let mut piece = [filler; PIECE];
            piece[..count].copy_from_slice(&x[..count]);
            piece
        }
    }
}

/// Writes the first `count` values of a piece. It may write beyond, into the next row: rows are
/// written in order, so what lies behind is written afterwards.
#[inline(always)]
fn store(y: &mut [f32], count: usize, piece: &[f32; PIECE]) {
    match y.first_chunk_mut() {
        Some(wide) => *wide = *piece,
        None => y[..count].copy_from_slice(&piece[..count]),
    }
}

/// The first `columns` values as whole pieces, and where the rest begins.
#[inline(always)]
fn whole(x: &[f32], columns: usize) -> (&[[f32; PIECE]], usize) {
    let pieces = x[..columns].as_chunks().0;
    (pieces, pieces.len() * PIECE)
}

/// Folds sixteen values by halves.
#[inline(always)]
fn tree(mut lanes: [f32; PIECE], fold: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = PIECE;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] = fold(lanes[lane], lanes[lane + width]);
        }
    }
    lanes[0]
}

/// The largest of the first `columns` values. NaN may be passed over: it makes the exponentials
/// and their sum NaN.
#[inline(always)]
fn row_max(x: &[f32], columns: usize) -> f32 {
    let larger = |a: f32, b: f32| math::select(a > b, a, b);
    let (pieces, tail) = whole(x, columns);
    let mut largest = [f32::NEG_INFINITY; PIECE];
    for piece in pieces {
        for (largest, &x) in largest.iter_mut().zip(piece) {
            *largest = larger(x, *largest);
        }
    }
    if tail < columns {
        let piece = load(&x[tail..], columns - tail, f32::NEG_INFINITY);
        for (largest, &x) in largest.iter_mut().zip(&piece) {
            *largest = larger(x, *largest);
        }
    }
    tree(largest, larger)
}

/// The sum of the first `columns` values: sixteen partial sums, and of a long row those of every
/// [`BLOCK`] values first, so that it stays accurate.
#[inline(always)]
fn row_sum(y: &[f32], columns: usize) -> f32 {
    let (pieces, tail) = whole(y, columns);
    let mut total = [0.0; PIECE];
    for block in pieces.chunks(BLOCK / PIECE) {
        let mut sums = [0.0; PIECE];
        for piece in block {
            for (sum, y) in sums.iter_mut().zip(piece) {
                *sum += y;
            }
        }
        for (total, sum) in total.iter_mut().zip(sums) {
            *total += sum;
        }
    }
    if tail < columns {
        let piece = load(&y[tail..], columns - tail, 0.0);
        for (total, y) in total.iter_mut().zip(piece) {
            *total += y;
        }
    }
    tree(total, |a, b| a + b)
}

/// Values that are exponentiated at a time; what belongs to them stays in the first-level cache.
const BLOCK: usize = 2048;

/// The exponentials of all values. One long loop: over single pieces the compiler would unroll it
/// into scalar code.
#[inline(always)]
fn exp_in_place(y: &mut [f32]) {
    for y in y {
        *y = math::exp(*y);
    }
}

/// Rows whose exponentials are taken together, in values.
#[inline(always)]
fn block_of_rows(columns: usize) -> usize {
    (BLOCK / columns).max(1) * columns
}

/// `y = x − shift` for the first `columns` values.
#[inline(always)]
fn shift(x: &[f32], columns: usize, shift: f32, y: &mut [f32]) {
    let tail = columns / PIECE * PIECE;
    for (y, x) in y[..tail].iter_mut().zip(&x[..tail]) {
        *y = x - shift;
    }
    if tail < columns {
        let mut piece = load(&x[tail..], columns - tail, 0.0);
        for x in &mut piece {
            *x -= shift;
        }
        store(&mut y[tail..], columns - tail, &piece);
    }
}

/// Writes `exp(x − max(x))` of every row into `y`.
#[inline(always)]
fn exponentials(x: &[f32], columns: usize, y: &mut [f32]) {
    for row in (0..x.len()).step_by(columns) {
        let max = row_max(&x[row..], columns);
        shift(&x[row..], columns, max, &mut y[row..]);
    }
    exp_in_place(y);
}

/// Replaces the first `columns` values of `y`.
#[inline(always)]
fn rewrite(y: &mut [f32], columns: usize, f: impl Fn(f32) -> f32) {
    let tail = columns / PIECE * PIECE;
    for y in &mut y[..tail] {
        *y = f(*y);
    }
    if tail < columns {
        let count = columns - tail;
        let y = &mut y[tail..];
        // The values behind the row are written back as they are.
        let old = match y.first_chunk() {
            Some(wide) => *wide,
            None => load(y, count, 0.0),
        };
        let mut new = old;
        for y in &mut new {
            *y = f(*y);
        }
        store(y, count, &blend(count, &new, &old));
    }
}

vectorised! {
    fn softmax_rows[](x: &[f32], columns: usize, y: &mut [f32]) {
        let block = block_of_rows(columns);
        for (x, y) in x.chunks(block).zip(y.chunks_mut(block)) {
            exponentials(x, columns, y);
            for row in (0..y.len()).step_by(columns) {
                let sum = row_sum(&y[row..], columns);
                rewrite(&mut y[row..], columns, |y| y / sum);
            }
        }
    }
}

vectorised! {
    fn cross_entropy_gradient_rows[](
        x: &[f32], columns: usize, labels: &[i32], scale: &[f32], gradient: &mut [f32]
    ) {
        let block = block_of_rows(columns);
        let mut of_row = labels.iter().zip(scale);
        for (x, y) in x.chunks(block).zip(gradient.chunks_mut(block)) {
            exponentials(x, columns, y);
            for (row, (&label, &scale)) in (0..y.len()).step_by(columns).zip(&mut of_row) {
                let y = &mut y[row..];
                let sum = row_sum(y, columns);
                let label = label as usize;
                let at_label = (y[label] / sum - 1.0) * scale;
                rewrite(y, columns, |e| e / sum * scale);
                y[label] = at_label;
            }
        }
    }
}

/// Rows whose logarithms are taken together.
const ROWS: usize = 16;

/// Maximum and `ln Σ exp(x − max)` of up to [`ROWS`] rows.
#[inline(always)]
fn log_sums(x: &[f32], columns: usize, maxima: &mut [f32], logs: &mut [f32]) {
    let mut buffer = [0.0; BLOCK];
    let rows = logs.len();
    for (row, max) in maxima.iter_mut().enumerate() {
        *max = row_max(&x[row * columns..], columns);
    }
    // Several rows in one block, or one row in several blocks.
    let mut totals = [[0.0; PIECE]; ROWS];
    for block in (0..columns).step_by(BLOCK) {
        let here = BLOCK.min(columns - block);
        let width = here.next_multiple_of(PIECE);
        for (row, &max) in maxima.iter().enumerate() {
            let (x, y) = (&x[row * columns + block..], &mut buffer[row * width..]);
            shift(x, here, max, y);
            // Behind the row stands what does not count.
            let tail = here / PIECE * PIECE;
            if let Some(y) = y[tail..width].first_chunk_mut() {
                *y = blend(here - tail, y, &[f32::NEG_INFINITY; PIECE]);
            }
        }
        let used = &mut buffer[..rows * width];
        exp_in_place(used);
        for (total, row) in totals.iter_mut().zip(used.chunks_exact(width)) {
            let mut sums = [0.0; PIECE];
            for piece in row.chunks_exact(PIECE) {
                for (sum, y) in sums.iter_mut().zip(piece) {
                    *sum += y;
                }
            }
            for (total, sum) in total.iter_mut().zip(sums) {
                *total += sum;
            }
        }
    }
    for (log, &total) in logs.iter_mut().zip(&totals) {
        *log = tree(total, |a, b| a + b);
    }
    for log in logs {
        *log = math::ln(*log);
    }
}

/// How many rows [`log_sums`] takes at a time.
#[inline(always)]
fn group_of_rows(columns: usize) -> usize {
    (BLOCK / columns.next_multiple_of(PIECE)).clamp(1, ROWS)
}

vectorised! {
    fn log_softmax_rows[](x: &[f32], columns: usize, y: &mut [f32]) {
        let group = group_of_rows(columns) * columns;
        let (mut maxima, mut logs) = ([0.0; ROWS], [0.0; ROWS]);
        for (x, y) in x.chunks(group).zip(y.chunks_mut(group)) {
            let rows = x.len() / columns;
            log_sums(x, columns, &mut maxima[..rows], &mut logs[..rows]);
            for row in 0..rows {
                let (max, log) = (maxima[row], logs[row]);
                let y = &mut y[row * columns..];
                shift(&x[row * columns..], columns, max, y);
                rewrite(y, columns, |y| y - log);
            }
        }
    }
}

vectorised! {
    fn log_sum_exp_rows[](x: &[f32], columns: usize, out: &mut [f32]) {
        let group = group_of_rows(columns);
        let mut maxima = [0.0; ROWS];
        for (x, out) in x.chunks(group * columns).zip(out.chunks_mut(group)) {
            log_sums(x, columns, &mut maxima[..out.len()], out);
            for (out, &max) in out.iter_mut().zip(&maxima) {
                // Infinite maxima have given ∞ − ∞.
                *out = math::select(max.is_infinite(), max, max + *out);
            }
        }
    }
}

vectorised! {
    fn cross_entropy_rows[](x: &[f32], columns: usize, labels: &[i32], loss: &mut [f32]) {
        let group = group_of_rows(columns);
        let mut maxima = [0.0; ROWS];
        let rows = loss.chunks_mut(group).zip(labels.chunks(group));
        for (x, (loss, labels)) in x.chunks(group * columns).zip(rows) {
            log_sums(x, columns, &mut maxima[..loss.len()], loss);
            for (row, loss) in loss.iter_mut().enumerate() {
                *loss -= x[row * columns + labels[row] as usize] - maxima[row];
            }
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
        let end = start + out.len();
        log_sum_exp_rows(&x[start * columns..end * columns], columns, out);
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
/// [`softmax_cross_entropy`] when the gradient of `loss[r]` is `scale[r]`, or `scale[0]` for every
/// row if there is only that.
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
    assert!(
        scale.len() == 1 || scale.len() == labels.len(),
        "cross-entropy: scale"
    );
    assert_eq!(logits.len(), gradient.len(), "cross-entropy: gradient");
    check_labels(labels, classes)?;
    if gradient.is_empty() {
        return Ok(());
    }
    parts(gradient, classes, COST, |start, gradient| {
        // One scale is repeated for as many rows at a time as this.
        let mut repeated = [0.0; 64];
        let rows = match *scale {
            [scale] => {
                repeated.fill(scale);
                repeated.len()
            }
            _ => labels.len(),
        };
        let first = start / classes;
        for (block, gradient) in gradient.chunks_mut(rows * classes).enumerate() {
            let first = first + block * rows;
            let last = first + gradient.len() / classes;
            let scale = match scale.len() {
                1 => &repeated[..last - first],
                _ => &scale[first..last],
            };
            let logits = &logits[first * classes..last * classes];
            cross_entropy_gradient_rows(logits, classes, &labels[first..last], scale, gradient);
        }
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
}

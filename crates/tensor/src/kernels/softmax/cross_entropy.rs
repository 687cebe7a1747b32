//! The cross-entropy of integer classes from logits, its gradient, and both in one pass.

use super::COST;
use super::narrow::{GROUP, Group, is_narrow, of_group};
use super::rows::{
    BLOCK, ROWS, block_of_rows, exp_in_place, exponentials, group_of_rows, log_sums, rewrite,
    row_max, row_sum, shift,
};
use crate::kernels::isa::vectorised;
use crate::kernels::math;
use crate::kernels::parallel::{SharedMut, parts};
use crate::{Detail, Error, Result};

vectorised! {
    fn cross_entropy_gradient_rows[](
        x: &[f32], columns: usize, labels: &[i32], scale: &[f32], gradient: &mut [f32]
    ) {
        if is_narrow(columns) {
            return narrow_gradient(x, columns, labels, scale, gradient);
        }
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

vectorised! {
    fn cross_entropy_rows[](x: &[f32], columns: usize, labels: &[i32], loss: &mut [f32]) {
        if is_narrow(columns) {
            return narrow_loss(x, columns, labels, loss);
        }
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

/// As [`cross_entropy_gradient_rows`], of rows side by side.
#[inline(always)]
fn narrow_gradient(x: &[f32], columns: usize, labels: &[i32], scale: &[f32], gradient: &mut [f32]) {
    let mut group = Group::new(columns);
    let rows = labels.chunks(GROUP).zip(scale.chunks(GROUP));
    let values = x
        .chunks(GROUP * columns)
        .zip(gradient.chunks_mut(GROUP * columns));
    for ((labels, scale), (x, gradient)) in rows.zip(values) {
        let (labels, scale) = (of_group(labels), of_group(scale));
        group.read_shifted(x);
        let sums = group.exponentials();
        group.rewrite(
            #[inline(always)]
            |class, e, row| {
                let probability = e / sums[row];
                let at_label = probability - 1.0;
                math::select(class == labels[row], at_label, probability) * scale[row]
            },
        );
        group.write(columns, gradient);
    }
}

/// As [`cross_entropy_rows`], of rows side by side.
#[inline(always)]
fn narrow_loss(x: &[f32], columns: usize, labels: &[i32], loss: &mut [f32]) {
    let mut group = Group::new(columns);
    let rows = labels.chunks(GROUP).zip(loss.chunks_mut(GROUP));
    for ((labels, loss), x) in rows.zip(x.chunks(GROUP * columns)) {
        group.read_shifted(x);
        let losses = losses(&mut group, &of_group(labels)).1;
        loss.copy_from_slice(&losses[..loss.len()]);
    }
}

/// The sums of the exponentials, which take the place of a group's shifted values, and the cross-entropies.
#[inline(always)]
fn losses(group: &mut Group, labels: &[i32; GROUP]) -> ([f32; GROUP], [f32; GROUP]) {
    let chosen = group.at(labels);
    let sums = group.exponentials();
    let mut losses = sums;
    for loss in &mut losses {
        *loss = math::ln(*loss);
    }
    for (loss, chosen) in losses.iter_mut().zip(chosen) {
        *loss -= chosen;
    }
    (sums, losses)
}

vectorised! {
    fn both_rows[](x: &[f32], columns: usize, labels: &[i32], y: &mut [f32], loss: &mut [f32]) {
        match is_narrow(columns) {
            true => narrow_both(x, columns, labels, y, loss),
            false => wide_both(x, columns, labels, y, loss),
        }
    }
}

/// Probabilities and cross-entropies of rows side by side.
#[inline(always)]
fn narrow_both(x: &[f32], columns: usize, labels: &[i32], y: &mut [f32], loss: &mut [f32]) {
    let mut group = Group::new(columns);
    let rows = labels.chunks(GROUP).zip(loss.chunks_mut(GROUP));
    let values = x.chunks(GROUP * columns).zip(y.chunks_mut(GROUP * columns));
    for ((labels, loss), (x, y)) in rows.zip(values) {
        group.read_shifted(x);
        let (sums, losses) = losses(&mut group, &of_group(labels));
        loss.copy_from_slice(&losses[..loss.len()]);
        group.rewrite(
            #[inline(always)]
            |_, e, row| e / sums[row],
        );
        group.write(columns, y);
    }
}

/// Probabilities and cross-entropies of one row after the other.
#[inline(always)]
fn wide_both(x: &[f32], columns: usize, labels: &[i32], y: &mut [f32], loss: &mut [f32]) {
    let group = group_of_rows(columns);
    let mut maxima = [0.0; ROWS];
    let rows = labels.chunks(group).zip(loss.chunks_mut(group));
    let values = x.chunks(group * columns).zip(y.chunks_mut(group * columns));
    for ((labels, loss), (x, y)) in rows.zip(values) {
        for (row, max) in maxima[..loss.len()].iter_mut().enumerate() {
            let (x, y) = (&x[row * columns..], &mut y[row * columns..]);
            *max = row_max(x, columns);
            shift(x, columns, *max, y);
        }
        exp_in_place(y);
        for (row, loss) in loss.iter_mut().enumerate() {
            let y = &mut y[row * columns..];
            let sum = row_sum(y, columns);
            *loss = sum;
            rewrite(y, columns, |y| y / sum);
        }
        match columns <= BLOCK {
            true => loss.iter_mut().for_each(|loss| *loss = math::ln(*loss)),
            // Whose logarithm adds in another order.
            false => log_sums(x, columns, &mut maxima[..1], loss),
        }
        for (row, loss) in loss.iter_mut().enumerate() {
            *loss -= x[row * columns + labels[row] as usize] - maxima[row];
        }
    }
}

/// The work of an element in [`gradient_rows_from`], as [`COST`].
const CHEAP: usize = 1;

vectorised! {
    fn gradient_rows_from[](
        probabilities: &[f32], columns: usize, labels: &[i32], scale: &[f32], gradient: &mut [f32]
    ) {
        let all_same = scale.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits());
        if let (true, Some(&scale)) = (all_same, scale.first()) {
            for (y, probability) in gradient.iter_mut().zip(probabilities) {
                *y = probability * scale;
            }
        } else {
            let rows = gradient.chunks_exact_mut(columns).zip(probabilities.chunks_exact(columns));
            for ((y, probabilities), &scale) in rows.zip(scale) {
                for (y, probability) in y.iter_mut().zip(probabilities) {
                    *y = probability * scale;
                }
            }
        }
        for (row, (&label, &scale)) in labels.iter().zip(scale).enumerate() {
            let at = row * columns + label as usize;
            gradient[at] = (probabilities[at] - 1.0) * scale;
        }
    }
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
    let of_rows = |first: usize, scale: &[f32], gradient: &mut [f32]| {
        let last = first + scale.len();
        let logits = &logits[first * classes..last * classes];
        cross_entropy_gradient_rows(logits, classes, &labels[first..last], scale, gradient);
    };
    scaled(gradient, (classes, COST), scale, of_rows);
    Ok(())
}

/// Calls `of_rows(first row, scale, rows)` for consecutive rows of `classes` values, with the scale of each. Work as in
/// [`parts`].
fn scaled(
    gradient: &mut [f32],
    (classes, cost): (usize, usize),
    scale: &[f32],
    of_rows: impl Fn(usize, &[f32], &mut [f32]) + Sync,
) {
    parts(gradient, classes, cost, |start, gradient| {
        let first = start / classes;
        let [scale] = *scale else {
            let scale = &scale[first..first + gradient.len() / classes];
            return of_rows(first, scale, gradient);
        };
        // One scale is repeated for as many rows at a time as this.
        let repeated = [scale; 4 * GROUP];
        let blocks = gradient.chunks_mut(repeated.len() * classes).enumerate();
        for (block, gradient) in blocks {
            let scale = &repeated[..gradient.len() / classes];
            of_rows(first + block * repeated.len(), scale, gradient);
        }
    });
}

/// Softmax and cross-entropy, whose exponentials are the same, at once: `both` gets the values of
/// [`softmax`](super::softmax) for all rows of `classes` logits, and behind them the losses of
/// [`softmax_cross_entropy`]; the same bits.
///
/// # Errors
/// [`Error::Index`] if a label is not a class.
pub fn softmax_and_cross_entropy(
    logits: &[f32],
    classes: usize,
    labels: &[i32],
    both: &mut [f32],
) -> Result<()> {
    let rows = labels.len();
    assert_eq!(logits.len(), classes * rows, "cross-entropy: logits");
    assert_eq!(both.len(), (classes + 1) * rows, "cross-entropy: result");
    check_labels(labels, classes)?;
    let (probabilities, loss) = both.split_at_mut(classes * rows);
    let loss = SharedMut::new(loss);
    parts(probabilities, classes, COST, |start, probabilities| {
        let first = start / classes.max(1);
        let last = first + probabilities.len() / classes.max(1);
        let logits = &logits[first * classes..last * classes];
        // SAFETY: parts have different rows, of which there are as many as losses.
        let loss = unsafe { loss.slice(first..last) };
        both_rows(logits, classes, &labels[first..last], probabilities, loss);
    });
    Ok(())
}

/// The losses in what [`softmax_and_cross_entropy`] gives.
pub fn cross_entropy_in(both: &[f32], classes: usize, loss: &mut [f32]) {
    let rows = loss.len();
    assert_eq!(both.len(), (classes + 1) * rows, "cross-entropy: loss");
    loss.copy_from_slice(&both[classes * rows..]);
}

/// As [`softmax_cross_entropy_gradient`], from what [`softmax_and_cross_entropy`] gives; the same bits.
///
/// # Errors
/// [`Error::Index`] if a label is not a class.
pub fn cross_entropy_gradient_from(
    both: &[f32],
    classes: usize,
    labels: &[i32],
    scale: &[f32],
    gradient: &mut [f32],
) -> Result<()> {
    let rows = labels.len();
    let length = (classes + 1) * rows;
    assert_eq!(both.len(), length, "cross-entropy: probabilities");
    assert!(
        scale.len() == 1 || scale.len() == rows,
        "cross-entropy: scale"
    );
    assert_eq!(gradient.len(), classes * rows, "cross-entropy: gradient");
    check_labels(labels, classes)?;
    if gradient.is_empty() {
        return Ok(());
    }
    let of_rows = |first: usize, scale: &[f32], gradient: &mut [f32]| {
        let last = first + scale.len();
        let probabilities = &both[first * classes..last * classes];
        gradient_rows_from(
            probabilities,
            classes,
            &labels[first..last],
            scale,
            gradient,
        );
    };
    scaled(gradient, (classes, CHEAP), scale, of_rows);
    Ok(())
}

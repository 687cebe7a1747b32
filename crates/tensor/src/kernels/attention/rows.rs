//! What happens to the scores of a tile between the products: scaling, masks, softmax, and the way back.

use super::{AllMasked, Mask, Settings};
use crate::kernels::isa::vectorised;
use crate::kernels::math::select;
use crate::kernels::softmax::softmax_rows;

/// What stands in the place of a score that does not count; Keras' number.
const LOW: f32 = -0.7 * f32::MAX;

/// Values that are summed side by side.
const LANES: usize = 16;

vectorised! {
    fn scale_row[](row: &mut [f32], scale: f32) {
        for score in row {
            *score *= scale;
        }
    }
}

vectorised! {
    fn mask_row[](row: &mut [f32], mask: &[f32]) {
        for (score, &mask) in row.iter_mut().zip(mask) {
            *score = select(mask != 0.0, *score, LOW);
        }
    }
}

vectorised! {
    /// `dp = p · (dp − Σ p · dp) · scale` for each row.
    fn gradient_rows[](p: &[f32], dp: &mut [f32], columns: usize, scale: f32) {
        for (p, dp) in p.chunks_exact(columns).zip(dp.chunks_exact_mut(columns)) {
            let (wide, rest) = p.as_chunks::<LANES>();
            let (wide_d, rest_d) = dp.as_chunks::<LANES>();
            let mut sums = [0.0; LANES];
            for (p, dp) in wide.iter().zip(wide_d) {
                for lane in 0..LANES {
                    sums[lane] += p[lane] * dp[lane];
                }
            }
            for (lane, (p, dp)) in rest.iter().zip(rest_d).enumerate() {
                sums[lane] += p * dp;
            }
            let mut width = LANES;
            while width > 1 {
                width /= 2;
                for lane in 0..width {
                    sums[lane] += sums[lane + width];
                }
            }
            for (p, dp) in p.iter().zip(dp) {
                *dp = p * (*dp - sums[0]) * scale;
            }
        }
    }
}

/// Where a tile is: sample, head, its first query.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub sample: usize,
    pub head: usize,
    pub query: usize,
}

impl Mask<'_> {
    /// The numbers for the keys of a query: all of them, or one.
    fn of(&self, sample: usize, head: usize, query: usize) -> &[f32] {
        let [batch, heads, queries, keys] = self.shape;
        let at = |index: usize, size: usize| if size == 1 { 0 } else { index };
        let row = (at(sample, batch) * heads + at(head, heads)) * queries + at(query, queries);
        &self.data[row * keys..][..keys]
    }
}

impl Settings<'_> {
    /// Whether any key may not be seen.
    fn hides(&self) -> bool {
        self.causal || self.window.is_some() || !self.masks.is_empty()
    }

    /// The weights of a tile, from the products of queries and keys.
    pub(super) fn weights(
        &self,
        place: Place,
        scores: &mut [f32],
        columns: usize,
        weights: &mut [f32],
    ) {
        scale_row(scores, self.scale);
        if self.hides() {
            for (row, scores) in scores.chunks_exact_mut(columns).enumerate() {
                self.hide(place, place.query + row, scores);
            }
        }
        softmax_rows(scores, columns, weights);
        if self.hides() && self.all_masked == AllMasked::Zero {
            clear(scores, columns, weights);
        }
    }

    fn hide(&self, place: Place, query: usize, scores: &mut [f32]) {
        for mask in self.masks {
            match mask.of(place.sample, place.head, query) {
                [one] if scores.len() != 1 => {
                    if *one == 0.0 {
                        scores.fill(LOW);
                    }
                }
                each => mask_row(scores, each),
            }
        }
        let keys = scores.len();
        let (mut seen_from, mut seen_to) = (0, keys);
        if self.causal {
            seen_to = keys.min(query + 1);
        }
        if let Some(window) = self.window {
            seen_from = (query + 1).saturating_sub(window).min(keys);
            seen_to = seen_to.min(query.saturating_add(window));
        }
        scores[..seen_from].fill(LOW);
        scores[seen_to.max(seen_from)..].fill(LOW);
    }

    /// The gradients of the products of queries and keys, from those of the weights; `scores` are what the weights were
    /// made of.
    pub(super) fn back(
        &self,
        scores: &[f32],
        weights: &[f32],
        gradients: &mut [f32],
        columns: usize,
    ) {
        gradient_rows(weights, gradients, columns, self.scale);
        if self.hides() && self.all_masked == AllMasked::Uniform {
            clear(scores, columns, gradients);
        }
    }
}

/// Sets rows to 0 of whose scores none counts.
fn clear(scores: &[f32], columns: usize, rows: &mut [f32]) {
    let rows = rows.chunks_exact_mut(columns);
    for (scores, row) in scores.chunks_exact(columns).zip(rows) {
        if scores.iter().all(|&score| score == LOW) {
            row.fill(0.0);
        }
    }
}

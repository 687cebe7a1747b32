//! The gradients for queries, keys and values.

use super::rows::Place;
use super::{Settings, Sizes, first, head_rows, tile_rows};
use crate::kernels::isa::Isa;
use crate::kernels::matmul::scratch::{Scratch, Use};
use crate::kernels::matmul::tile::Kernels;
use crate::kernels::matmul::{Matrix, matmul_shared};
use crate::kernels::parallel::{self, SharedMut};

/// The gradients with respect to q, k and v, those that are wanted, given `dy`, that with respect to the result. In `out`
/// each sample has those of its queries, then of its keys, then of its values, one after the other.
///
/// # Panics
/// If lengths do not fit the sizes.
#[allow(clippy::too_many_arguments)]
pub fn gradients(
    sizes: &Sizes,
    settings: &Settings<'_>,
    wanted: [bool; 3],
    q: &[f32],
    k: &[f32],
    v: &[f32],
    dy: &[f32],
    out: &mut [f32],
) {
    sizes.check(q, k, v, settings.masks);
    let Sizes {
        queries,
        keys,
        heads,
        key_heads,
        size,
        value_size,
        ..
    } = *sizes;
    let [of_q, of_k, of_v] = sizes.gradient_sizes(wanted);
    let of_sample = of_q + of_k + of_v;
    assert_eq!(
        dy.len(),
        sizes.batch * queries * heads * value_size,
        "attention: dy"
    );
    assert_eq!(out.len(), sizes.batch * of_sample, "attention: gradients");
    if keys == 0 || queries == 0 || size == 0 || value_size == 0 {
        return out.fill(0.0);
    }
    let kernels = Kernels::of(Isa::detect());
    let height = tile_rows(sizes);
    let out = SharedMut::new(out);
    let threads = parallel::threads(sizes.work());
    parallel::each(sizes.batch * key_heads, 1, threads, |part| {
        let (sample, key_head) = (part / key_heads, part % key_heads);
        let mut scratch = Scratch::take(Use::Scores);
        let room = scratch.room(3 * height.min(queries) * keys);
        let (steps, key_steps) = (
            (heads * size, heads * value_size),
            (key_heads * size, key_heads * value_size),
        );
        let keys_here = head_rows(
            k,
            first(sample, key_head, keys, key_heads, size),
            0,
            keys,
            key_steps.0,
            size,
        );
        let at = first(sample, key_head, keys, key_heads, value_size);
        let values = head_rows(v, at, 0, keys, key_steps.1, value_size);
        let out = out.from(sample * of_sample);
        let mut add = false;
        for head in key_head * sizes.group()..(key_head + 1) * sizes.group() {
            for from in (0..queries).step_by(height) {
                let rows = height.min(queries - from);
                let (scores, rest) = room.split_at_mut(rows * keys);
                let (weights, rest) = rest.split_at_mut(rows * keys);
                let of_weights = &mut rest[..rows * keys];
                let queries_here = head_rows(
                    q,
                    first(sample, head, queries, heads, size),
                    from,
                    rows,
                    steps.0,
                    size,
                );
                let at = first(sample, head, queries, heads, value_size);
                let dy = head_rows(dy, at, from, rows, steps.1, value_size);
                let place = Place {
                    sample,
                    head,
                    query: from,
                };
                let scored = SharedMut::new(scores);
                // SAFETY: the scores are this thread's.
                unsafe {
                    matmul_shared(
                        kernels,
                        queries_here,
                        keys_here.transposed(),
                        scored,
                        keys,
                        false,
                    )
                };
                settings.weights(place, scores, keys, weights);
                if wanted[2] {
                    let to = out.from(of_q + of_k + key_head * value_size);
                    let weights = Matrix::new(weights, rows, keys).transposed();
                    // SAFETY: these columns are this head's of this sample's values, and no other part has them.
                    unsafe { matmul_shared(kernels, weights, dy, to, key_steps.1, add) };
                }
                if wanted[0] || wanted[1] {
                    let to = SharedMut::new(&mut *of_weights);
                    // SAFETY: they are this thread's.
                    unsafe { matmul_shared(kernels, dy, values.transposed(), to, keys, false) };
                    settings.back(scores, weights, of_weights, keys);
                    let of_scores = Matrix::new(of_weights, rows, keys);
                    if wanted[0] {
                        let to = out.from(head * size + from * steps.0);
                        // SAFETY: these columns of these rows are this head's of these queries.
                        unsafe { matmul_shared(kernels, of_scores, keys_here, to, steps.0, false) };
                    }
                    if wanted[1] {
                        let to = out.from(of_q + key_head * size);
                        // SAFETY: these columns are this head's of this sample's keys.
                        unsafe {
                            matmul_shared(
                                kernels,
                                of_scores.transposed(),
                                queries_here,
                                to,
                                key_steps.0,
                                add,
                            )
                        };
                    }
                }
                add = true;
            }
        }
    });
}

impl Sizes {
    /// How many values a sample's gradients have, those of queries, keys and values; none where they are not wanted.
    pub fn gradient_sizes(&self, wanted: [bool; 3]) -> [usize; 3] {
        let keys = self.keys * self.key_heads;
        let all = [
            self.queries * self.heads * self.size,
            keys * self.size,
            keys * self.value_size,
        ];
        std::array::from_fn(|index| if wanted[index] { all[index] } else { 0 })
    }
}

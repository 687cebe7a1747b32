//! The forward pass.

use super::rows::Place;
use super::{Settings, Sizes, first, head_rows, tile_rows};
use crate::kernels::isa::Isa;
use crate::kernels::matmul::matmul_shared;
use crate::kernels::matmul::scratch::{Scratch, Use};
use crate::kernels::matmul::tile::Kernels;
use crate::kernels::parallel::{self, SharedMut};

/// `y = softmax(scale · q · kᵀ, masked) · v` for each head; 0 where there are no keys.
///
/// # Panics
/// If lengths do not fit the sizes.
pub fn attention(
    sizes: &Sizes,
    settings: &Settings<'_>,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    y: &mut [f32],
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
    assert_eq!(
        y.len(),
        sizes.batch * queries * heads * value_size,
        "attention: y"
    );
    if keys == 0 || y.is_empty() {
        return y.fill(0.0);
    }
    let kernels = Kernels::of(Isa::detect());
    let height = tile_rows(sizes);
    let tiles = queries.div_ceil(height);
    let y = SharedMut::new(y);
    let threads = parallel::threads(sizes.work());
    parallel::each(sizes.batch * heads * tiles, 1, threads, |part| {
        let (of_head, from) = (part / tiles, part % tiles * height);
        let (sample, head) = (of_head / heads, of_head % heads);
        let key_head = head / sizes.group();
        let rows = height.min(queries - from);
        let mut scratch = Scratch::take(Use::Scores);
        let (scores, weights) = scratch.room(2 * rows * keys).split_at_mut(rows * keys);
        let queries_here = head_rows(
            q,
            first(sample, head, queries, heads, size),
            from,
            rows,
            heads * size,
            size,
        );
        let keys_here = head_rows(
            k,
            first(sample, key_head, keys, key_heads, size),
            0,
            keys,
            key_heads * size,
            size,
        );
        let at = first(sample, key_head, keys, key_heads, value_size);
        let values = head_rows(v, at, 0, keys, key_heads * value_size, value_size);
        // SAFETY: the scores are this thread's.
        unsafe {
            matmul_shared(
                kernels,
                queries_here,
                keys_here.transposed(),
                SharedMut::new(scores),
                keys,
                false,
            )
        };
        let place = Place {
            sample,
            head,
            query: from,
        };
        settings.weights(place, scores, keys, weights);
        let weights = crate::kernels::matmul::Matrix::new(weights, rows, keys);
        let to =
            y.from(first(sample, head, queries, heads, value_size) + from * heads * value_size);
        // SAFETY: these columns of these rows are this head's of these queries, and no other part has them.
        unsafe { matmul_shared(kernels, weights, values, to, heads * value_size, false) };
    });
}

//! Scaled dot-product attention, forwards and backwards: `softmax(scale · q · kᵀ) · v` for every head of every sample.
//!
//! **A tile is some queries with all keys** (`tile_rows`), so a row's maximum and sum are those of the whole row, as
//! in the formula that is written out, and no running ones have to be corrected. It is computed, used and forgotten:
//! the scores of a sample are never in memory together. The backward pass computes each tile again from queries and
//! keys, and needs nothing that the forward pass would have to keep.
//!
//! **The same bits anywhere.** Products are chains in the order of the summed axis (see [`matmul`](super::matmul)),
//! a row of weights is the softmax of that row, and the gradients of keys and values go on from tile to tile in the
//! order of heads of a group and of queries. So a sample's result does not depend on its batch or on threads, which
//! divide samples × heads (× tiles forwards).

mod backward;
mod forward;
mod rows;
#[cfg(test)]
mod tests;

pub use backward::gradients;
pub use forward::attention;

use super::matmul::Matrix;

/// What a weight is of which the mask leaves no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllMasked {
    /// All keys count alike, and no gradient passes to queries and keys: a constant stood in the place of each score.
    Uniform,
    /// All keys count alike, and gradients pass as if nothing were masked: a large number was subtracted from each score.
    Lowered,
    /// No key counts: the result is 0, and so are the gradients.
    Zero,
}

/// The sizes: queries are `(batch, queries, heads, size)`, keys `(batch, keys, key_heads, size)`, values
/// `(batch, keys, key_heads, value_size)`, results `(batch, queries, heads, value_size)`. Head `h` of the queries reads
/// head `h / (heads / key_heads)` of keys and values.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Samples.
    pub batch: usize,
    /// Queries of a sample.
    pub queries: usize,
    /// Keys and values of a sample.
    pub keys: usize,
    /// Heads of the queries, a multiple of `key_heads`.
    pub heads: usize,
    /// Heads of keys and values.
    pub key_heads: usize,
    /// Features of a query and of a key.
    pub size: usize,
    /// Features of a value.
    pub value_size: usize,
}

/// Which keys a query sees: where the number is not 0. An axis of size 1 counts for all of that axis.
#[derive(Clone, Copy, Debug)]
pub struct Mask<'a> {
    /// The numbers.
    pub data: &'a [f32],
    /// `(batch, heads, queries, keys)`, each as many as there are or 1.
    pub shape: [usize; 4],
}

/// The settings of an attention.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// What scores are multiplied with.
    pub scale: f32,
    /// Whether query `i` sees key `j` only if `j ≤ i`.
    pub causal: bool,
    /// Query `i` sees key `j` only if `|i − j|` is below this.
    pub window: Option<usize>,
    /// What happens to a query that sees no key.
    pub all_masked: AllMasked,
    /// A key is seen if all masks say so.
    pub masks: &'a [Mask<'a>],
}

/// Scores of a tile, in values.
const TILE: usize = 1 << 15;

/// How many queries make a tile.
fn tile_rows(sizes: &Sizes) -> usize {
    (TILE / sizes.keys.max(1)).clamp(16, 128)
}

impl Sizes {
    /// How many heads of queries share one of keys and values.
    fn group(&self) -> usize {
        self.heads / self.key_heads
    }

    /// Multiply-adds of one product of a head.
    fn work(&self) -> usize {
        self.batch * self.heads * self.queries * self.keys * (self.size + self.value_size)
    }

    fn check(&self, q: &[f32], k: &[f32], v: &[f32], masks: &[Mask<'_>]) {
        let rows = (self.batch * self.queries, self.batch * self.keys);
        assert!(
            self.key_heads > 0 && self.heads.is_multiple_of(self.key_heads),
            "attention: heads"
        );
        assert_eq!(q.len(), rows.0 * self.heads * self.size, "attention: q");
        assert_eq!(k.len(), rows.1 * self.key_heads * self.size, "attention: k");
        let values = rows.1 * self.key_heads * self.value_size;
        assert_eq!(v.len(), values, "attention: v");
        for mask in masks {
            let whole = [self.batch, self.heads, self.queries, self.keys];
            let fits = mask.shape.iter().zip(whole);
            assert!(
                fits.into_iter()
                    .all(|(&size, all)| size == 1 || size == all)
                    && mask.data.len() == mask.shape.iter().product::<usize>(),
                "attention: mask"
            );
        }
    }
}

/// Where head `head` of sample `sample` begins in `(batch, length, heads, size)`.
fn first(sample: usize, head: usize, length: usize, heads: usize, size: usize) -> usize {
    (sample * length * heads + head) * size
}

/// Rows `from` and on of one head: a matrix whose rows are a whole step apart.
fn head_rows(
    data: &[f32],
    first: usize,
    from: usize,
    rows: usize,
    step: usize,
    size: usize,
) -> Matrix<'_> {
    Matrix {
        data: data.get(first + from * step..).unwrap_or_default(),
        rows,
        columns: size,
        row_stride: step,
        column_stride: 1,
    }
}

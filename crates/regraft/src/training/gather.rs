//! Rows of an array in any order.

use regraft_tensor::kernels::gather::pick_rows;

/// The rows at these positions, one after the other.
pub(crate) fn gather<'b>(
    all: &[f32],
    elements: usize,
    positions: &[u32],
    buffer: &'b mut Vec<f32>,
) -> &'b [f32] {
    // Every value is overwritten.
    buffer.resize(positions.len() * elements, 0.0);
    pick_rows(all, elements, positions, buffer);
    buffer
}

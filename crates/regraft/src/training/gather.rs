//! Rows of an array in any order.

/// The rows at these positions, one after the other.
pub(crate) fn gather<'b>(
    all: &[f32],
    elements: usize,
    positions: &[u32],
    buffer: &'b mut Vec<f32>,
) -> &'b [f32] {
    buffer.clear();
    for &position in positions {
        let start = position as usize * elements;
        buffer.extend_from_slice(&all[start..start + elements]);
    }
    buffer
}

//! Cutting a product into parts for several threads. Every element is still one chain, computed by
//! one thread, so the cut does not show.

use super::block::{Product, RightPart, product};
use super::tile::Kernels;
use crate::kernels::parallel;

/// Least multiply-adds of a part.
const PART: usize = 1 << 19;

/// Computes a product, on several threads if it is large.
///
/// # Safety
/// As [`product`].
pub(super) unsafe fn split(kernels: &Kernels, p: &Product<'_>) {
    let work = p.rows.saturating_mul(p.columns).saturating_mul(p.depth);
    let threads = parallel::threads(work);
    if threads == 1 {
        // SAFETY: the caller's.
        return unsafe { product(kernels, p) };
    }
    let panel = kernels.panel();
    let parts = (2 * threads).min(work / PART).max(1);
    // Rows first: a part's share of the right operand is packed once per row of parts. Columns
    // when there are too few rows.
    let row_units = p.rows.div_ceil(2 * kernels.heights[1]);
    let column_units = p.columns.div_ceil(panel);
    let (row_parts, column_parts) = if p.rows >= p.columns {
        let rows = parts.min(row_units);
        (rows, (parts / rows).clamp(1, column_units))
    } else {
        let columns = parts.min(column_units);
        ((parts / columns).clamp(1, row_units), columns)
    };
    let height = p.rows.div_ceil(row_parts);
    let width = column_units.div_ceil(column_parts) * panel;
    let (row_parts, column_parts) = (p.rows.div_ceil(height), p.columns.div_ceil(width));
    parallel::each(row_parts * column_parts, 1, threads, |part| {
        let (row, column) = (part / column_parts * height, part % column_parts * width);
        let part = Product {
            rows: height.min(p.rows - row),
            columns: width.min(p.columns - column),
            a: p.a.at(row, 0),
            b: match p.b {
                RightPart::InPlace(b) => RightPart::InPlace(b.at(0, column)),
                RightPart::Panels(b, next) => RightPart::Panels(&b[column / panel * next..], next),
            },
            c: p.c.from(row * p.c_row + column),
            first_column: p.first_column + column,
            ..*p
        };
        // SAFETY: row + rows ≤ p.rows, column + columns ≤ p.columns, column is a multiple of `panel`, and
        // parts do not overlap.
        unsafe { product(kernels, &part) };
    });
}

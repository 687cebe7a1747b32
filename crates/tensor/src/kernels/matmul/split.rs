//! Cutting a product into parts for several threads. Every element is still one chain, computed by
//! one thread, so the cut does not show.

use super::block::{Product, RightPart, product};
use super::matrix::Strided;
use super::tile::Kernels;
use rayon::prelude::*;

/// Multiply-adds below which one thread does the product alone (about 20 µs).
const ALONE: usize = 1 << 21;

/// Least multiply-adds of a part.
const PART: usize = 1 << 19;

/// A product that may be computed by another thread.
struct Shared<'a>(Product<'a>);

// SAFETY: the operands are borrowed immutably for the whole call, and parts given to different
// threads write different elements of the result, which the call borrows mutably.
unsafe impl Sync for Shared<'_> {}

/// Computes a product, on several threads if it is large.
///
/// # Safety
/// As [`product`].
pub(super) unsafe fn split(kernels: &Kernels, p: &Product<'_>) {
    let work = p.rows.saturating_mul(p.columns).saturating_mul(p.depth);
    let threads = if work < ALONE {
        1
    } else {
        rayon::current_num_threads()
    };
    if threads == 1 {
        // SAFETY: the caller's.
        return unsafe { product(kernels, p) };
    }
    let panel = 2 * kernels.lanes;
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
    let shared = &Shared(*p);
    (0..row_parts * column_parts)
        .into_par_iter()
        .for_each(|part| {
            let p = &shared.0;
            let (row, column) = (part / column_parts * height, part % column_parts * width);
            // SAFETY: row and column lie within the product, parts do not overlap, and a part begins
            // at a whole panel.
            unsafe {
                let part = Product {
                    rows: height.min(p.rows - row),
                    columns: width.min(p.columns - column),
                    a: Strided {
                        data: p.a.at(row, 0),
                        ..p.a
                    },
                    b: match p.b {
                        RightPart::InPlace(b) => RightPart::InPlace(Strided {
                            data: b.at(0, column),
                            ..b
                        }),
                        RightPart::Panels(b, next) => {
                            RightPart::Panels(b.add(column / panel * next), next)
                        }
                    },
                    c: p.c.add(row * p.c_row + column),
                    first_column: p.first_column + column,
                    ..*p
                };
                product(kernels, &part);
            }
        });
}

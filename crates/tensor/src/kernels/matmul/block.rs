//! The loops around the tile kernel, on one thread: which part of the operands is in which cache.
//!
//! A block of `k` is chosen so that a panel of the right operand stays in the first-level cache
//! while all row tiles pass it, and a block of the left operand in the second. The chains resume
//! from the result when the next block of `k` begins.

use super::epilogue::{Epilogue, EpilogueActivation};
use super::matrix::Strided;
use super::pack::{pack_column_major, pack_right};
use super::scratch::{Scratch, Use};
use super::tile::{Kernels, ONE_RUN, Tile, tile_rows};
use crate::kernels::parallel::SharedMut;

/// Block of `k` when operands are packed or lie close together.
const DEPTH: usize = 256;

/// Block of `k` when a wide right operand is read in place: few enough rows that their pages
/// and lines stay at hand while the columns pass.
const DEPTH_IN_PLACE: usize = 64;

/// Values of the left operand that stay in the second-level cache.
const LEFT: usize = 64 * 1024;

/// Values of the right operand that are packed at a time.
const RIGHT: usize = 128 * 1024;

/// The right operand: as it lies, or in panels.
#[derive(Clone, Copy)]
pub(super) enum RightPart<'a> {
    /// As it lies.
    InPlace(Strided<'a>),
    /// In panels of two vectors: from the first one on, and how far the next is.
    Panels(&'a [f32], usize),
}

/// A product to be computed: sizes, operands, and what to do with the result.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub rows: usize,
    pub columns: usize,
    pub depth: usize,
    pub a: Strided<'a>,
    pub b: RightPart<'a>,
    pub c: SharedMut<'a>,
    pub c_row: usize,
    /// Whether to add to what the result holds.
    pub add: bool,
    pub epilogue: Epilogue<'a>,
    /// The first column's number, for the epilogue.
    pub first_column: usize,
}

/// Computes a product on this thread.
///
/// # Safety
/// - `a` has `rows × depth` elements, `b` has `depth × columns` or whole panels of them,
/// - `(rows − 1) · c_row + columns ≤ c.len()`, and nothing else touches these elements meanwhile.
pub(super) unsafe fn product(kernels: &Kernels, p: &Product<'_>) {
    if p.rows == 0 || p.columns == 0 {
        return;
    }
    if p.depth == 0 {
        // SAFETY: the caller's.
        return unsafe { empty(p) };
    }
    let panel = kernels.panel();
    let tiles = p.rows.div_ceil(kernels.heights[1]);
    let in_place = match p.b {
        RightPart::Panels(..) => false,
        RightPart::InPlace(b) => {
            b.column_stride == 1
                && (kernels.reads_part || p.columns.is_multiple_of(kernels.lanes))
                && (b.row_stride <= 2 * panel || tiles <= 2)
        }
    };
    let depth_step = match p.b {
        RightPart::InPlace(b) if in_place && b.row_stride > 2 * panel => DEPTH_IN_PLACE,
        RightPart::InPlace(_) if in_place && p.columns <= panel => 1024,
        _ => DEPTH,
    };
    // Blocks of equal length.
    let depth_step = p.depth.div_ceil(p.depth.div_ceil(depth_step));
    let pack_b = matches!(p.b, RightPart::InPlace(_)) && !in_place;
    let column_step = if pack_b {
        (RIGHT / depth_step / panel).max(1) * panel
    } else {
        p.columns
    };
    // Packing the left operand pays when enough panels read it.
    let pack_a = p.a.row_stride != 1 && p.columns > 4 * panel && tiles > 1
        || p.a.row_stride == 1 && p.columns > 8 * panel && p.a.column_stride > 64;
    let row_step = (LEFT / depth_step / kernels.heights[1]).max(1) * kernels.heights[1];

    let mut left = pack_a.then(|| Scratch::take(Use::Left));
    let mut right = pack_b.then(|| Scratch::take(Use::Right));
    for column in (0..p.columns).step_by(column_step) {
        let columns = column_step.min(p.columns - column);
        for k in (0..p.depth).step_by(depth_step) {
            let depth = depth_step.min(p.depth - k);
            let (b, b_step, b_panel) = match (p.b, &mut right) {
                (RightPart::Panels(b, next), _) => {
                    (&b[column / panel * next + k * panel..], panel, next)
                }
                (RightPart::InPlace(b), Some(right)) => {
                    let to = right.room(depth * columns.next_multiple_of(panel));
                    pack_right(b.at(k, column), depth, columns, panel, to);
                    (&*to, panel, depth * panel)
                }
                (RightPart::InPlace(b), None) => (b.at(k, column).data, b.row_stride, panel),
            };
            for row in (0..p.rows).step_by(row_step) {
                let rows = row_step.min(p.rows - row);
                let block = Block {
                    rows,
                    columns,
                    a: p.a.at(row, k),
                    b,
                    b_step,
                    b_panel,
                    c: p.c.from(row * p.c_row + column),
                    c_row: p.c_row,
                    depth,
                    resume: p.add || k > 0,
                    epilogue: if k + depth == p.depth {
                        p.epilogue
                    } else {
                        Epilogue::default()
                    },
                    first_column: p.first_column + column,
                };
                let packed = left.as_mut().map(|left| left.room(rows * depth));
                // SAFETY: row + rows ≤ p.rows, column + columns ≤ p.columns, k + depth ≤ p.depth.
                unsafe { block.compute(kernels, packed) };
            }
        }
    }
}

/// A product over no `k`: the chains are as long as where they begin.
///
/// # Safety
/// As [`product`].
unsafe fn empty(p: &Product<'_>) {
    for row in 0..p.rows {
        let first = row * p.c_row;
        // SAFETY: row ≤ rows − 1, and (rows − 1) · c_row + columns ≤ c.len().
        let c = unsafe { p.c.slice(first..first + p.columns) };
        if !p.add {
            c.fill(0.0);
        }
        p.epilogue.apply_row(c, p.first_column);
    }
}

/// A part of a product for which everything is in cache.
struct Block<'a> {
    rows: usize,
    columns: usize,
    a: Strided<'a>,
    b: &'a [f32],
    b_step: usize,
    b_panel: usize,
    c: SharedMut<'a>,
    c_row: usize,
    depth: usize,
    resume: bool,
    epilogue: Epilogue<'a>,
    first_column: usize,
}

impl Block<'_> {
    /// Computes it; `packed` is where to pack the left operand, if it shall be.
    ///
    /// # Safety
    /// As [`product`].
    unsafe fn compute(&self, kernels: &Kernels, mut packed: Option<&mut [f32]>) {
        let relu = self.epilogue.rectifier();
        let widest = kernels.widest(self.rows);
        let tiles = self.rows.div_ceil(kernels.heights[1]);
        if let Some(packed) = &mut packed {
            for tile in 0..tiles {
                let (row, height) = tile_rows(self.rows, tiles, tile);
                let to = &mut packed[row * self.depth..];
                pack_column_major(self.a.at(row, 0), height, self.depth, height, to);
            }
        }
        for strip in kernels.strips(self.columns, widest) {
            let column = strip.first;
            let b = column / kernels.panel() * self.b_panel + column % kernels.panel();
            let bias = self.epilogue.bias;
            let bias = bias.map(|bias| &bias[self.first_column + column..][..strip.columns]);
            for tile in 0..tiles {
                let (row, height) = tile_rows(self.rows, tiles, tile);
                let (a, a_row, a_step) = match &packed {
                    Some(packed) => (&packed[row * self.depth..], 1, height),
                    None => {
                        let Strided {
                            data,
                            row_stride,
                            column_stride,
                        } = self.a.at(row, 0);
                        (data, row_stride, column_stride)
                    }
                };
                let tile = Tile {
                    a,
                    a_row,
                    a_step,
                    b: &self.b[b..],
                    b_step: self.b_step,
                    b_panel: self.b_panel,
                    c: self.c.from(row * self.c_row + column),
                    c_row: self.c_row,
                    depth: self.depth,
                    runs: ONE_RUN,
                    b_run: 0,
                    last: strip.last,
                    resume: self.resume,
                    bias,
                    residual: None,
                    relu,
                };
                // SAFETY: row + height ≤ rows, column + strip.columns ≤ columns; the packed tile is as
                // long as height · depth.
                unsafe { kernels.compute(strip.width, height, &tile) };
            }
        }
        if relu.is_none() && self.epilogue.activation != EpilogueActivation::None {
            let rest = Epilogue {
                bias: None,
                ..self.epilogue
            };
            for first in (0..self.rows).map(|row| row * self.c_row) {
                // SAFETY: as in `empty`.
                rest.apply_row(unsafe { self.c.slice(first..first + self.columns) }, 0);
            }
        }
    }
}

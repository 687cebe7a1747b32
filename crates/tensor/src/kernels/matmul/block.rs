//! The loops around the tile kernel, on one thread: which part of the operands is in which cache.
//!
//! A stretch of `k` is chosen so that a panel of the right operand stays in the first-level cache
//! while all row tiles pass it, and a block of the left operand in the second. The chains resume
//! from the result when the next stretch begins.

use super::epilogue::{Epilogue, EpilogueActivation};
use super::matrix::Strided;
use super::pack::{Scratch, pack_right, pack_upright};
use super::tile::{Kernels, Tile, WHOLE, tile_rows};

/// Stretch of `k` when operands are packed or lie close together.
const DEPTH: usize = 256;

/// Stretch of `k` when a wide right operand is read in place: few enough rows that their pages
/// and lines stay at hand while the columns pass.
const DEPTH_IN_PLACE: usize = 64;

/// Values of the left operand that stay in the second-level cache.
const LEFT: usize = 64 * 1024;

/// Values of the right operand that are packed at a time.
const RIGHT: usize = 128 * 1024;

/// The right operand: as it lies, or in panels.
#[derive(Clone, Copy)]
pub(super) enum RightPart {
    /// As it lies.
    InPlace(Strided),
    /// In panels of two vectors: the first one's beginning and how far the next is.
    Panels(*const f32, usize),
}

/// A product to be computed: sizes, operands, and what to do with the result.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub rows: usize,
    pub columns: usize,
    pub depth: usize,
    pub a: Strided,
    pub b: RightPart,
    pub c: *mut f32,
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
/// Operands and result must be valid for the sizes and strides, nothing else may touch the result
/// meanwhile, and the machine must have the kernels' instructions.
pub(super) unsafe fn product(kernels: &Kernels, p: &Product<'_>) {
    if p.rows == 0 || p.columns == 0 {
        return;
    }
    // SAFETY: the blocks below partition rows, columns and k of the operands that the caller
    // vouches for; scratch has the room that `room` was asked for.
    unsafe {
        if p.depth == 0 {
            return empty(p);
        }
        let panel = 2 * kernels.lanes;
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
        // Stretches of equal length.
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

        let mut left = pack_a.then(|| Scratch::take(0));
        let mut right = pack_b.then(|| Scratch::take(1));
        for column in (0..p.columns).step_by(column_step) {
            let columns = column_step.min(p.columns - column);
            for k in (0..p.depth).step_by(depth_step) {
                let depth = depth_step.min(p.depth - k);
                let last = k + depth == p.depth;
                let (b, b_step, b_panel) = match (p.b, &mut right) {
                    (RightPart::Panels(b, next), _) => {
                        (b.add(column / panel * next + k * panel), panel, next)
                    }
                    (RightPart::InPlace(b), Some(right)) => {
                        let to = right.room(depth * columns.next_multiple_of(panel));
                        let from = Strided {
                            data: b.at(k, column),
                            ..b
                        };
                        pack_right(from, depth, columns, panel, to);
                        (to.cast_const(), panel, depth * panel)
                    }
                    (RightPart::InPlace(b), None) => (b.at(k, column), b.row_stride, panel),
                };
                for row in (0..p.rows).step_by(row_step) {
                    let rows = row_step.min(p.rows - row);
                    let a = Strided {
                        data: p.a.at(row, k),
                        ..p.a
                    };
                    let packed = left.as_mut().map(|left| left.room(rows * depth));
                    let block = Block {
                        rows,
                        columns,
                        a,
                        packed,
                        b,
                        b_step,
                        b_panel,
                        c: p.c.add(row * p.c_row + column),
                        c_row: p.c_row,
                        depth,
                        resume: p.add || k > 0,
                        epilogue: if last {
                            p.epilogue
                        } else {
                            Epilogue::default()
                        },
                        first_column: p.first_column + column,
                    };
                    block.compute(kernels);
                }
            }
        }
        if let Some(left) = left {
            left.give_back(0);
        }
        if let Some(right) = right {
            right.give_back(1);
        }
    }
}

/// A product over no `k`: the chains are as long as where they begin.
///
/// # Safety
/// As [`product`].
unsafe fn empty(p: &Product<'_>) {
    for row in 0..p.rows {
        // SAFETY: the result's rows are valid and nobody else's.
        let c = unsafe { std::slice::from_raw_parts_mut(p.c.add(row * p.c_row), p.columns) };
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
    a: Strided,
    /// Where to pack the left operand.
    packed: Option<*mut f32>,
    b: *const f32,
    b_step: usize,
    b_panel: usize,
    c: *mut f32,
    c_row: usize,
    depth: usize,
    resume: bool,
    epilogue: Epilogue<'a>,
    first_column: usize,
}

impl Block<'_> {
    /// # Safety
    /// As [`product`].
    unsafe fn compute(&self, kernels: &Kernels) {
        let bias = self.epilogue.bias;
        let relu = self.epilogue.rectifier();
        let widest = kernels.widest(self.rows);
        let tiles = self.rows.div_ceil(kernels.heights[1]);
        // SAFETY: tiles partition the block, and a packed tile lies `depth` values per row after
        // the beginning.
        unsafe {
            if let Some(packed) = self.packed {
                for tile in 0..tiles {
                    let (row, height) = tile_rows(self.rows, tiles, tile);
                    let from = Strided {
                        data: self.a.at(row, 0),
                        ..self.a
                    };
                    pack_upright(
                        from,
                        height,
                        self.depth,
                        height,
                        packed.add(row * self.depth),
                    );
                }
            }
            for strip in kernels.strips(self.columns, widest) {
                let column = strip.first;
                let panel =
                    column / (2 * kernels.lanes) * self.b_panel + column % (2 * kernels.lanes);
                for tile in 0..tiles {
                    let (row, height) = tile_rows(self.rows, tiles, tile);
                    let (a, a_row, a_step) = match self.packed {
                        Some(packed) => (packed.add(row * self.depth).cast_const(), 1, height),
                        None => (self.a.at(row, 0), self.a.row_stride, self.a.column_stride),
                    };
                    let table = if a_row == 1 {
                        &kernels.upright
                    } else {
                        &kernels.tiles
                    };
                    table[strip.width][height - 1](&Tile {
                        a,
                        a_row,
                        a_step,
                        b: self.b.add(panel),
                        b_step: self.b_step,
                        b_panel: self.b_panel,
                        c: self.c.add(row * self.c_row + column),
                        c_row: self.c_row,
                        depth: self.depth,
                        stretches: WHOLE,
                        b_stretch: 0,
                        last: strip.last,
                        resume: self.resume,
                        bias: match bias {
                            Some(bias) => {
                                bias[self.first_column + column..][..strip.columns].as_ptr()
                            }
                            None => std::ptr::null(),
                        },
                        relu,
                    });
                }
            }
            if relu.is_none() && self.epilogue.activation != EpilogueActivation::None {
                let rest = Epilogue {
                    bias: None,
                    ..self.epilogue
                };
                for row in 0..self.rows {
                    let c = self.c.add(row * self.c_row);
                    rest.apply_row(std::slice::from_raw_parts_mut(c, self.columns), 0);
                }
            }
        }
    }
}

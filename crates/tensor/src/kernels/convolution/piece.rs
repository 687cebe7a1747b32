//! The pieces in which a [direct convolution](super::direct) computes its output, how what their windows
//! see lies in memory, and the blocks in which that is gone through.

use std::ops::Range;

/// Output cells of one slice of one sample that are computed together.
#[derive(Clone)]
pub(super) struct Segment {
    pub sample: usize,
    pub depth: usize,
    pub rows: Range<usize>,
    pub columns: Range<usize>,
}

/// Output cells of which the windows all see the same cells of the window, and how what they see lies
/// in memory.
pub(super) struct Piece<'a> {
    pub segment: &'a Segment,
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    /// The first row of the kernel that is seen, and how far the next stretch's is.
    pub kernel_row: usize,
    pub kernel_stretch: usize,
    pub lie: Lie,
}

impl Piece<'_> {
    /// Whether tiles run down the columns, because the rows are short.
    pub fn is_tall(&self) -> bool {
        self.columns.len() < self.rows.len().min(4)
    }

    /// Cells in a line of tiles.
    pub fn length(&self) -> usize {
        match self.is_tall() {
            true => self.rows.len(),
            false => self.columns.len(),
        }
    }
}

/// How the input of a piece lies in memory.
pub(super) struct Lie {
    /// Where the first window begins, or what is seen of it.
    pub first: *const f32,
    /// How far the next row is.
    pub row: usize,
    /// How far the next cell is.
    pub cell: usize,
    /// How far from its first cell the stretches of a window begin.
    pub stretches: Vec<usize>,
    /// The values of a stretch.
    pub depth: usize,
}

/// A part of what windows see, with which the result's sums go on.
pub(super) struct Block {
    /// Which stretches, and which values of each.
    pub stretches: Range<usize>,
    pub depth: Range<usize>,
    /// Whether it begins the sums.
    pub first: bool,
    /// Whether it ends them.
    pub last: bool,
}

impl Lie {
    /// What is seen in blocks of at most `most` values: several stretches, or a part of one. There is
    /// at least one block, which may be empty.
    pub fn blocks(&self, most: usize) -> impl Iterator<Item = Block> {
        let (depth, stretches) = (self.depth, self.stretches.len());
        let parts = depth.div_ceil(most).max(1);
        let length = depth.div_ceil(parts);
        let together = (most / depth.max(1)).max(1);
        let count = stretches.div_ceil(together).max(1) * parts;
        (0..count).map(move |number| {
            let (stretch, part) = (number / parts * together, number % parts * length);
            Block {
                stretches: stretch..stretches.min(stretch + together),
                depth: part..depth.min(part + length),
                first: number == 0,
                last: number + 1 == count,
            }
        })
    }
}

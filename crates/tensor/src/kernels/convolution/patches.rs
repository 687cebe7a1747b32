//! Where the patches of some output pixels lie in memory, and the blocks in which a [direct
//! convolution](super::direct) goes through them.

use std::ops::Range;

/// A rectangle of output pixels, of one slice of one sample.
#[derive(Clone)]
pub(super) struct Region {
    pub sample: usize,
    pub depth: usize,
    pub rows: Range<usize>,
    pub columns: Range<usize>,
}

/// The patches of output pixels for which the same taps fall into the input.
pub(super) struct Patches<'a> {
    pub region: Region,
    /// The first row of the kernel that is used, and how far the next run's is.
    pub kernel_row: usize,
    pub kernel_run: usize,
    /// The input, from the first value of the region's first patch on.
    pub input: &'a [f32],
    /// How far the next row, and the next pixel in it, of the input is.
    pub row: usize,
    pub pixel: usize,
    /// How far from its first value the runs of a patch begin.
    pub runs: Vec<usize>,
    /// The values of a run.
    pub run_len: usize,
}

/// A block of what is summed for each output pixel: some runs, or a part of one.
pub(super) struct KBlock {
    pub runs: Range<usize>,
    /// Which values of each run.
    pub values: Range<usize>,
    /// Whether it begins the sums.
    pub first: bool,
    /// Whether it ends them.
    pub last: bool,
}

impl Patches<'_> {
    /// Whether tiles run down the columns, because the rows are short.
    pub fn runs_down(&self) -> bool {
        self.region.columns.len() < self.region.rows.len().min(4)
    }

    /// Pixels in a row, or column, that tiles divide.
    pub fn line_len(&self) -> usize {
        if self.runs_down() {
            self.region.rows.len()
        } else {
            self.region.columns.len()
        }
    }

    /// Blocks of at most `most` values. There is at least one, which may be empty.
    pub fn k_blocks(&self, most: usize) -> impl Iterator<Item = KBlock> {
        let (run_len, runs) = (self.run_len, self.runs.len());
        let parts = run_len.div_ceil(most).max(1);
        let length = run_len.div_ceil(parts);
        let together = (most / run_len.max(1)).max(1);
        let count = runs.div_ceil(together).max(1) * parts;
        (0..count).map(move |number| {
            let (run, part) = (number / parts * together, number % parts * length);
            KBlock {
                runs: run..runs.min(run + together),
                values: part..run_len.min(part + length),
                first: number == 0,
                last: number + 1 == count,
            }
        })
    }
}

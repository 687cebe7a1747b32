//! The innermost kernel: a tile of the result that stays in registers over a block of `k`.

use super::lanes::{Exact, Lanes, Portable};
use crate::kernels::isa::Isa;
use crate::kernels::parallel::SharedMut;

/// One call of the tile kernel. All strides count values.
pub(in crate::kernels) struct Tile<'a> {
    /// The left operand from the tile's element `(0, 0)` on.
    pub a: &'a [f32],
    /// How far the next row of the left operand is.
    pub a_row: usize,
    /// How far the next `k` of the left operand is.
    pub a_step: usize,
    /// The right operand from the tile's element `(0, 0)` on; columns lie next to each other within a
    /// panel of two vectors.
    pub b: &'a [f32],
    /// How far the next `k` of the right operand is.
    pub b_step: usize,
    /// How far the next panel is.
    pub b_panel: usize,
    /// The result from the tile's element `(0, 0)` on; columns lie next to each other.
    pub c: SharedMut<'a>,
    /// How far the next row of the result is.
    pub c_row: usize,
    /// How many `k` to add in each run.
    pub depth: usize,
    /// How far from `a` each run of `k` begins, in increasing order; [`ONE_RUN`] for a single one. A
    /// convolution has one for each row of its window.
    pub runs: &'a [usize],
    /// How far the right operand's next run is.
    pub b_run: usize,
    /// Lanes of the last vector that exist, from 1 on.
    pub last: usize,
    /// Whether the chains go on from what the result holds, or begin at 0.
    pub resume: bool,
    /// One value per column to add at the end.
    pub bias: Option<&'a [f32]>,
    /// Values to add after that, which lie as the result does, from the tile's element `(0, 0)` on.
    pub residual: Option<&'a [f32]>,
    /// Whether to end with a rectifier.
    pub relu: Option<Rectifier>,
}

/// A left operand that lies in one run.
pub(in crate::kernels) const ONE_RUN: &[usize] = &[0];

/// A rectifier with or without an upper bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernels) enum Rectifier {
    /// [`math::relu`](crate::kernels::math::relu).
    Relu,
    /// [`math::relu6`](crate::kernels::math::relu6).
    Relu6,
}

impl Tile<'_> {
    /// Whether operands and result have all elements of a tile of `height` rows and `width` vectors of
    /// `lanes` values: what [`TileKernel`] asks for.
    fn is_within(&self, height: usize, width: usize, lanes: usize) -> bool {
        let columns = (width - 1) * lanes + self.last;
        let panels = (width - 1) / 2;
        let last_k = |step: usize| (self.depth - 1) * step;
        let reads = match self.runs.last() {
            Some(run) if self.depth > 0 => {
                let a = run + last_k(self.a_step) + (height - 1) * self.a_row;
                let b = (self.runs.len() - 1) * self.b_run + last_k(self.b_step);
                let b = b + panels * self.b_panel + columns - panels * 2 * lanes;
                a < self.a.len() && b <= self.b.len() && self.runs.is_sorted()
            }
            _ => true,
        };
        let bias = self.bias.is_none_or(|bias| columns <= bias.len());
        let c = (height - 1) * self.c_row + columns;
        let residual = self.residual.is_none_or(|residual| c <= residual.len());
        reads && bias && residual && c <= self.c.len() && (1..=lanes).contains(&self.last)
    }
}

/// A tile kernel of a fixed size: `HEIGHT` rows, and `columns = (WIDTH − 1) · lanes + last`.
///
/// # Safety
/// The machine must have the instructions, nothing else may touch the tile of the result meanwhile, and,
/// with `panels = ⌊(WIDTH − 1) / 2⌋`:
/// - `runs` in increasing order, and unless there is no `k`
///   `runs[last] + (depth − 1) · a_step + (HEIGHT − 1) · a_row < a.len()`,
/// - likewise `(runs.len() − 1) · b_run + (depth − 1) · b_step + panels · (b_panel − 2 · lanes) +
///   columns ≤ b.len()`,
/// - `(HEIGHT − 1) · c_row + columns ≤ c.len()`, likewise of the residual, and `columns ≤ bias.len()`, if there
///   are these.
type TileKernel = unsafe fn(&Tile<'_>);

/// Tile widths in vectors; index into [`Kernels::heights`].
pub(in crate::kernels) const WIDTHS: [usize; 4] = [1, 2, 4, 8];

/// The tile kernels of one instruction set: the seam at which an implementation is chosen.
pub(in crate::kernels) struct Kernels {
    /// Values per vector.
    pub lanes: usize,
    /// Whether the kernels can read part of a vector; otherwise a ragged right edge is packed.
    pub reads_part: bool,
    /// The tallest tile of each width.
    pub heights: [usize; 4],
    /// `tiles[width][height - 1]`, with the left operand in any strides.
    tiles: [&'static [TileKernel]; 4],
    /// The same, with the left operand's rows next to each other (`a_row` is 1).
    column_major: [&'static [TileKernel]; 4],
}

impl Kernels {
    /// The kernels for an instruction set, which this machine has.
    pub fn of(isa: Isa) -> &'static Kernels {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => &x86::AVX512,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => &x86::AVX2,
            #[cfg(all(target_arch = "aarch64", target_feature = "neon", not(miri)))]
            Isa::Neon(_) => &neon::NEON,
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Isa::Simd128(_) => &simd128::SIMD128,
            Isa::Exact => &EXACT,
            _ => &PORTABLE,
        }
    }

    /// Values in a row of a panel.
    pub fn panel(&self) -> usize {
        2 * self.lanes
    }

    /// Computes a tile of `height` rows and of the width that `WIDTHS[width]` is.
    ///
    /// # Safety
    /// As [`TileKernel`], but for the instructions.
    #[inline]
    pub unsafe fn compute(&self, width: usize, height: usize, tile: &Tile<'_>) {
        debug_assert!(tile.is_within(height, WIDTHS[width], self.lanes));
        let kernels = match tile.a_row {
            1 => &self.column_major,
            _ => &self.tiles,
        };
        // SAFETY: the caller's; `of` gives kernels of instructions that the machine has.
        unsafe { kernels[width][height - 1](tile) }
    }

    /// The widest tiles whose height takes all rows, as an index into [`WIDTHS`]; two vectors where
    /// none does.
    pub fn widest(&self, rows: usize) -> usize {
        (1..WIDTHS.len())
            .rfind(|&width| self.heights[width] >= rows)
            .unwrap_or(1)
    }

    /// Divides `columns` into strips of tiles that are at most as wide as the `widest`.
    pub fn strips(&self, columns: usize, widest: usize) -> impl Iterator<Item = Strip> {
        let lanes = self.lanes;
        let mut first = 0;
        std::iter::from_fn(move || {
            let rest = columns - first;
            let fits = |width: &usize| WIDTHS[*width] <= rest.div_ceil(lanes);
            let width = (0..=widest).rfind(fits)?;
            let columns = rest.min(WIDTHS[width] * lanes);
            let strip = Strip {
                first,
                columns,
                width,
                last: columns - (WIDTHS[width] - 1) * lanes,
            };
            first += columns;
            Some(strip)
        })
    }
}

/// The first row of row tile number `tile` of `tiles` over `rows`, and its height: as even as possible.
pub(in crate::kernels) fn tile_rows(rows: usize, tiles: usize, tile: usize) -> (usize, usize) {
    let (height, longer) = (rows / tiles, rows % tiles);
    (
        tile * height + tile.min(longer),
        height + usize::from(tile < longer),
    )
}

/// Columns of a product that are computed in tiles of one width.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Strip {
    /// The first one.
    pub first: usize,
    /// How many there are.
    pub columns: usize,
    /// The tiles' width, as an index into [`WIDTHS`].
    pub width: usize,
    /// Lanes of the last vector that exist.
    pub last: usize,
}

/// Adds the products of all runs; `load_last` reads the last vector of a row on the right.
///
/// # Safety
/// As [`TileKernel`].
#[inline(always)]
unsafe fn accumulate<
    L: Lanes,
    const HEIGHT: usize,
    const WIDTH: usize,
    const COLUMN_MAJOR: bool,
>(
    lanes: L,
    tile: &Tile<'_>,
    sums: &mut [[L::Vector; WIDTH]; HEIGHT],
    load_last: impl Fn(*const f32) -> L::Vector,
) {
    let a_row = if COLUMN_MAJOR { 1 } else { tile.a_row };
    // Wrapping: after the last step the pointers may lie beyond the operands.
    let mut b_start = tile.b.as_ptr();
    for &run in tile.runs {
        let mut a = tile.a.as_ptr().wrapping_add(run);
        let mut b = b_start;
        b_start = b_start.wrapping_add(tile.b_run);
        for _ in 0..tile.depth {
            let right = |vector: usize| {
                let from = b.wrapping_add(vector / 2 * tile.b_panel + vector % 2 * L::COUNT);
                if vector == WIDTH - 1 {
                    load_last(from)
                } else {
                    // SAFETY: vector ≤ WIDTH − 2, so that its panel has a whole vector here, before
                    // column (WIDTH − 1) · COUNT or in an earlier panel.
                    unsafe { lanes.load(from) }
                }
            };
            // SAFETY: row ≤ HEIGHT − 1, and `a` is at most at the last `k` of the last run.
            let left = |row: usize| lanes.splat(unsafe { *a.wrapping_add(row * a_row) });
            // The operand with fewer values waits in registers, so that all sums stay there too.
            if HEIGHT < WIDTH {
                let left: [L::Vector; HEIGHT] = std::array::from_fn(left);
                for vector in 0..WIDTH {
                    let right = right(vector);
                    for (sums, &left) in sums.iter_mut().zip(&left) {
                        sums[vector] = lanes.multiply_add(left, right, sums[vector]);
                    }
                }
            } else {
                let right: [L::Vector; WIDTH] = std::array::from_fn(right);
                for (row, sums) in sums.iter_mut().enumerate() {
                    let left = left(row);
                    for (sum, &right) in sums.iter_mut().zip(&right) {
                        *sum = lanes.multiply_add(left, right, *sum);
                    }
                }
            }
            a = a.wrapping_add(tile.a_step);
            b = b.wrapping_add(tile.b_step);
        }
    }
}

/// Computes `HEIGHT × (WIDTH vectors)` of the result.
///
/// # Safety
/// As [`TileKernel`].
#[inline(always)]
unsafe fn tile<L: Lanes, const HEIGHT: usize, const WIDTH: usize, const COLUMN_MAJOR: bool>(
    lanes: L,
    tile: &Tile<'_>,
) {
    let mask = lanes.mask(tile.last);
    let last = WIDTH - 1;
    let mut sums = [[lanes.splat(0.0); WIDTH]; HEIGHT];
    let c = tile.c.as_ptr();
    let at = |row: usize, vector: usize| c.wrapping_add(row * tile.c_row + vector * L::COUNT);
    if tile.resume {
        for (row, sums) in sums.iter_mut().enumerate() {
            for (vector, sum) in sums.iter_mut().enumerate().take(last) {
                // SAFETY: row ≤ HEIGHT − 1, (vector + 1) · COUNT ≤ last · COUNT < columns.
                *sum = unsafe { lanes.load(at(row, vector)) };
            }
            // SAFETY: row ≤ HEIGHT − 1, last · COUNT + the lanes of `mask` = columns.
            sums[last] = unsafe { lanes.load_masked(at(row, last), mask) };
        }
    }
    // Reading part of a vector takes a place among the multiply-adds, or a register.
    // SAFETY: the caller's; a row of the right operand has `tile.last` values from the last vector on.
    unsafe {
        if tile.last == L::COUNT {
            let load = |from| lanes.load(from);
            accumulate::<L, HEIGHT, WIDTH, COLUMN_MAJOR>(lanes, tile, &mut sums, load);
        } else {
            let load = |from| lanes.load_masked(from, mask);
            accumulate::<L, HEIGHT, WIDTH, COLUMN_MAJOR>(lanes, tile, &mut sums, load);
        }
    }
    if let Some(bias) = tile.bias {
        for vector in 0..WIDTH {
            let from = bias.as_ptr().wrapping_add(vector * L::COUNT);
            // SAFETY: a whole vector ends at or before last · COUNT, the last one at columns ≤ bias.len().
            let bias = unsafe {
                if vector == last {
                    lanes.load_masked(from, mask)
                } else {
                    lanes.load(from)
                }
            };
            for sums in &mut sums {
                sums[vector] = lanes.add(sums[vector], bias);
            }
        }
    }
    if let Some(residual) = tile.residual {
        let residual = residual.as_ptr();
        for (row, sums) in sums.iter_mut().enumerate() {
            for (vector, sum) in sums.iter_mut().enumerate() {
                let from = residual.wrapping_add(row * tile.c_row + vector * L::COUNT);
                // SAFETY: as for reading the result above.
                let residual = unsafe {
                    if vector == last {
                        lanes.load_masked(from, mask)
                    } else {
                        lanes.load(from)
                    }
                };
                *sum = lanes.add(*sum, residual);
            }
        }
    }
    if tile.relu.is_some() {
        for sum in sums.as_flattened_mut() {
            *sum = lanes.relu(*sum);
        }
    }
    if tile.relu == Some(Rectifier::Relu6) {
        for sum in sums.as_flattened_mut() {
            *sum = lanes.at_most(*sum, lanes.splat(6.0));
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        for (vector, &sum) in sums.iter().enumerate().take(last) {
            // SAFETY: as for reading above.
            unsafe { lanes.store(at(row, vector), sum) };
        }
        // SAFETY: likewise.
        unsafe { lanes.store_masked(at(row, last), sums[last], mask) };
    }
}

/// The kernels of one instruction set, for each width and the heights 1, 2, ….
macro_rules! kernels {
    ($kernel:ident, $lanes:ty, reads_part: $reads_part:literal, $($width:literal: $($height:literal)*;)*) => {
        Kernels {
            lanes: <$lanes>::COUNT,
            reads_part: $reads_part,
            heights: [$([$($height),*].len()),*],
            tiles: [$(&[$($kernel::<$height, $width, false>),*]),*],
            column_major: [$(&[$($kernel::<$height, $width, true>),*]),*],
        }
    };
}

/// # Safety
/// As [`TileKernel`].
unsafe fn portable<const HEIGHT: usize, const WIDTH: usize, const COLUMN_MAJOR: bool>(
    t: &Tile<'_>,
) {
    // SAFETY: the caller's.
    unsafe { tile::<Portable, HEIGHT, WIDTH, COLUMN_MAJOR>(Portable {}, t) }
}

/// # Safety
/// As [`TileKernel`].
unsafe fn exact<const HEIGHT: usize, const WIDTH: usize, const COLUMN_MAJOR: bool>(t: &Tile<'_>) {
    // SAFETY: the caller's.
    unsafe { tile::<Exact, HEIGHT, WIDTH, COLUMN_MAJOR>(Exact {}, t) }
}

static PORTABLE: Kernels = kernels! {
    portable, Portable, reads_part: false,
    1: 1 2 3 4 5 6;
    2: 1 2 3 4 5 6;
    4: 1 2 3;
    8: 1;
};

/// A multiply-add is some thirty instructions here: larger tiles would save nothing but loads.
static EXACT: Kernels = kernels! {
    exact, Exact, reads_part: false,
    1: 1 2;
    2: 1 2;
    4: 1;
    8: 1;
};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Kernels, Lanes, Tile, tile};
    use crate::kernels::isa::{Avx2, Avx512};

    /// # Safety
    /// As [`TileKernel`](super::TileKernel).
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    unsafe fn avx512<const HEIGHT: usize, const WIDTH: usize, const COLUMN_MAJOR: bool>(
        t: &Tile<'_>,
    ) {
        // SAFETY: the caller's.
        unsafe { tile::<Avx512, HEIGHT, WIDTH, COLUMN_MAJOR>(Avx512::here(), t) }
    }

    /// # Safety
    /// As [`TileKernel`](super::TileKernel).
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<const HEIGHT: usize, const WIDTH: usize, const COLUMN_MAJOR: bool>(
        t: &Tile<'_>,
    ) {
        // SAFETY: the caller's.
        unsafe { tile::<Avx2, HEIGHT, WIDTH, COLUMN_MAJOR>(Avx2::here(), t) }
    }

    /// 32 registers: up to 24 sums, the right operand's vectors, and one of the left.
    pub static AVX512: Kernels = kernels! {
        avx512, Avx512, reads_part: true,
        1: 1 2 3 4 5 6 7 8 9 10 11 12;
        2: 1 2 3 4 5 6 7 8 9 10 11 12;
        4: 1 2 3 4 5 6;
        8: 1 2 3;
    };

    /// 16 registers: up to 12 sums.
    pub static AVX2: Kernels = kernels! {
        avx2, Avx2, reads_part: true,
        1: 1 2 3 4 5 6;
        2: 1 2 3 4 5 6;
        4: 1 2 3;
        8: 1;
    };
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon", not(miri)))]
mod neon {
    use super::{Kernels, Lanes, Tile, tile};
    use crate::kernels::isa::Neon;

    /// # Safety
    /// As [`TileKernel`](super::TileKernel).
    #[target_feature(enable = "neon")]
    unsafe fn neon<const HEIGHT: usize, const WIDTH: usize, const COLUMN_MAJOR: bool>(
        t: &Tile<'_>,
    ) {
        // SAFETY: the caller's.
        unsafe { tile::<Neon, HEIGHT, WIDTH, COLUMN_MAJOR>(Neon::here(), t) }
    }

    /// 32 registers: up to 24 sums, as with AVX-512. Parts of vectors are read value by value.
    pub static NEON: Kernels = kernels! {
        neon, Neon, reads_part: false,
        1: 1 2 3 4 5 6 7 8 9 10 11 12;
        2: 1 2 3 4 5 6 7 8 9 10 11 12;
        4: 1 2 3 4 5 6;
        8: 1 2 3;
    };
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128 {
    use super::{Kernels, Lanes, Tile, tile};
    use crate::kernels::isa::Simd128;

    /// # Safety
    /// As [`TileKernel`](super::TileKernel).
    unsafe fn simd128<const HEIGHT: usize, const WIDTH: usize, const COLUMN_MAJOR: bool>(
        t: &Tile<'_>,
    ) {
        // SAFETY: the caller's.
        unsafe { tile::<Simd128, HEIGHT, WIDTH, COLUMN_MAJOR>(Simd128::here(), t) }
    }

    /// Engines have 16 registers for them on x86-64: up to 8 sums, so that an operand and a product have room.
    pub static SIMD128: Kernels = kernels! {
        simd128, Simd128, reads_part: false,
        1: 1 2 3 4 5 6;
        2: 1 2 3 4;
        4: 1 2;
        8: 1;
    };
}

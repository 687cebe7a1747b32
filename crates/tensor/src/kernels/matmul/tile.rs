//! The innermost kernel: a tile of the result that stays in registers over a stretch of `k`.

use super::lanes::{Lanes, Portable};
use crate::kernels::isa::Isa;

/// One call of the tile kernel. All strides count values.
pub(in crate::kernels) struct Tile<'a> {
    /// Element `(0, 0)` of the left operand's part.
    pub a: *const f32,
    /// How far the next row of the left operand is.
    pub a_row: usize,
    /// How far the next `k` of the left operand is.
    pub a_step: usize,
    /// Element `(0, 0)` of the right operand's part; columns lie next to each other within a panel
    /// of two vectors.
    pub b: *const f32,
    /// How far the next `k` of the right operand is.
    pub b_step: usize,
    /// How far the next panel is.
    pub b_panel: usize,
    /// Element `(0, 0)` of the result's part; columns lie next to each other.
    pub c: *mut f32,
    /// How far the next row of the result is.
    pub c_row: usize,
    /// How many `k` to add in each stretch.
    pub depth: usize,
    /// How far from `a` each stretch of `k` begins; [`WHOLE`] for a single one. A convolution has one
    /// for each row of its window.
    pub stretches: &'a [usize],
    /// How far the right operand's next stretch is.
    pub b_stretch: usize,
    /// Lanes of the last vector that exist, from 1 on.
    pub last: usize,
    /// Whether the chains go on from what the result holds, or begin at 0.
    pub resume: bool,
    /// One value per column to add at the end, or null.
    pub bias: *const f32,
    /// Whether to end with a rectifier.
    pub relu: Option<Rectifier>,
}

/// A left operand that lies in one stretch.
pub(in crate::kernels) const WHOLE: &[usize] = &[0];

/// A rectifier with or without an upper bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernels) enum Rectifier {
    /// [`math::relu`](crate::kernels::math::relu).
    Relu,
    /// [`math::relu6`](crate::kernels::math::relu6).
    Relu6,
}

/// A tile kernel of a fixed size.
///
/// # Safety
/// Every element that the tile's size and strides reach must be readable (and writable in `c`,
/// which nothing else may touch meanwhile), and the machine must have the instructions.
pub(in crate::kernels) type TileKernel = unsafe fn(&Tile<'_>);

/// Tile widths in vectors; index into [`Kernels::heights`] and [`Kernels::tiles`].
pub(in crate::kernels) const WIDTHS: [usize; 4] = [1, 2, 4, 8];

/// The tile kernels of one instruction set: the seam at which an implementation is chosen.
pub(in crate::kernels) struct Kernels {
    /// Values per vector.
    pub lanes: usize,
    /// Whether the kernels can read part of a vector; otherwise a ragged right edge is packed.
    pub reads_part: bool,
    /// The tallest tile of each width.
    pub heights: [usize; 4],
    /// `tiles[width][height - 1]`, with the left operand in rows (`k` next to each other or any
    /// stride).
    pub tiles: [&'static [TileKernel]; 4],
    /// The same, with the left operand's rows next to each other (`a_row` is 1).
    pub upright: [&'static [TileKernel]; 4],
}

impl Kernels {
    /// The kernels for an instruction set.
    pub fn of(isa: Isa) -> &'static Kernels {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => &x86::AVX512,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => &x86::AVX2,
            _ => &PORTABLE,
        }
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

/// Adds the products of all stretches; `load_last` reads the last vector of a row on the right.
///
/// # Safety
/// As [`TileKernel`].
#[inline(always)]
unsafe fn accumulate<L: Lanes, const HEIGHT: usize, const WIDTH: usize, const UPRIGHT: bool>(
    tile: &Tile<'_>,
    sums: &mut [[L::Vector; WIDTH]; HEIGHT],
    load_last: impl Fn(*const f32) -> L::Vector,
) {
    // SAFETY: the caller's: rows below HEIGHT, columns below `(WIDTH - 1) * COUNT + last`, k below
    // `depth`.
    unsafe {
        let a_row = if UPRIGHT { 1 } else { tile.a_row };
        let mut b_start = tile.b;
        for &stretch in tile.stretches {
            // Wrapping: after the last step the pointers may lie beyond the operands.
            let mut a = tile.a.wrapping_add(stretch);
            let mut b = b_start;
            b_start = b_start.wrapping_add(tile.b_stretch);
            for _ in 0..tile.depth {
                let right = |vector: usize| {
                    let from = b.add(vector / 2 * tile.b_panel + vector % 2 * L::COUNT);
                    if vector == WIDTH - 1 {
                        load_last(from)
                    } else {
                        L::load(from)
                    }
                };
                let left = |row: usize| L::splat(*a.add(row * a_row));
                // The operand with fewer values waits in registers, so that all sums stay there too.
                if HEIGHT < WIDTH {
                    let left: [L::Vector; HEIGHT] = std::array::from_fn(left);
                    for vector in 0..WIDTH {
                        let right = right(vector);
                        for (sums, &left) in sums.iter_mut().zip(&left) {
                            sums[vector] = L::multiply_add(left, right, sums[vector]);
                        }
                    }
                } else {
                    let right: [L::Vector; WIDTH] = std::array::from_fn(right);
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let left = left(row);
                        for (sum, &right) in sums.iter_mut().zip(&right) {
                            *sum = L::multiply_add(left, right, *sum);
                        }
                    }
                }
                a = a.wrapping_add(tile.a_step);
                b = b.wrapping_add(tile.b_step);
            }
        }
    }
}

/// Computes `HEIGHT × (WIDTH vectors)` of the result.
///
/// # Safety
/// As [`TileKernel`].
#[inline(always)]
unsafe fn tile<L: Lanes, const HEIGHT: usize, const WIDTH: usize, const UPRIGHT: bool>(
    tile: &Tile<'_>,
) {
    // SAFETY: the caller vouches for every address below: rows below HEIGHT, columns below
    // `(WIDTH - 1) * COUNT + last`, k below `depth`.
    unsafe {
        let mask = L::mask(tile.last);
        let last = WIDTH - 1;
        let mut sums = [[L::splat(0.0); WIDTH]; HEIGHT];
        if tile.resume {
            for (row, sums) in sums.iter_mut().enumerate() {
                let c = tile.c.add(row * tile.c_row);
                for (vector, sum) in sums.iter_mut().enumerate().take(last) {
                    *sum = L::load(c.add(vector * L::COUNT));
                }
                sums[last] = L::load_masked(c.add(last * L::COUNT), mask);
            }
        }
        // Reading part of a vector takes a place among the multiply-adds, or a register.
        if tile.last == L::COUNT {
            accumulate::<L, HEIGHT, WIDTH, UPRIGHT>(tile, &mut sums, |from| L::load(from));
        } else {
            accumulate::<L, HEIGHT, WIDTH, UPRIGHT>(tile, &mut sums, |from| {
                L::load_masked(from, mask)
            });
        }
        if !tile.bias.is_null() {
            for vector in 0..WIDTH {
                let from = tile.bias.add(vector * L::COUNT);
                let bias = if vector == last {
                    L::load_masked(from, mask)
                } else {
                    L::load(from)
                };
                for sums in &mut sums {
                    sums[vector] = L::add(sums[vector], bias);
                }
            }
        }
        if tile.relu.is_some() {
            for sum in sums.as_flattened_mut() {
                *sum = L::relu(*sum);
            }
        }
        if tile.relu == Some(Rectifier::Relu6) {
            for sum in sums.as_flattened_mut() {
                *sum = L::at_most(*sum, L::splat(6.0));
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            let c = tile.c.add(row * tile.c_row);
            for (vector, &sum) in sums.iter().enumerate().take(last) {
                L::store(c.add(vector * L::COUNT), sum);
            }
            L::store_masked(c.add(last * L::COUNT), sums[last], mask);
        }
    }
}

/// The kernels of one width, for heights 1, 2, ….
macro_rules! heights {
    ($kernel:ident, $width:literal, $upright:literal, $($height:literal)*) => {
        &[$($kernel::<$height, $width, $upright> as TileKernel),*]
    };
}

unsafe fn portable<const HEIGHT: usize, const WIDTH: usize, const UPRIGHT: bool>(t: &Tile<'_>) {
    // SAFETY: the caller's.
    unsafe { tile::<Portable, HEIGHT, WIDTH, UPRIGHT>(t) }
}

static PORTABLE: Kernels = Kernels {
    lanes: Portable::COUNT,
    reads_part: false,
    heights: [6, 6, 3, 1],
    tiles: [
        heights!(portable, 1, false, 1 2 3 4 5 6),
        heights!(portable, 2, false, 1 2 3 4 5 6),
        heights!(portable, 4, false, 1 2 3),
        heights!(portable, 8, false, 1),
    ],
    upright: [
        heights!(portable, 1, true, 1 2 3 4 5 6),
        heights!(portable, 2, true, 1 2 3 4 5 6),
        heights!(portable, 4, true, 1 2 3),
        heights!(portable, 8, true, 1),
    ],
};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::lanes::{Avx2, Avx512};
    use super::{Kernels, Lanes, Tile, TileKernel, tile};

    #[target_feature(enable = "avx512f")]
    unsafe fn avx512<const HEIGHT: usize, const WIDTH: usize, const UPRIGHT: bool>(t: &Tile<'_>) {
        // SAFETY: the caller's; this function is compiled for AVX-512.
        unsafe { tile::<Avx512, HEIGHT, WIDTH, UPRIGHT>(t) }
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<const HEIGHT: usize, const WIDTH: usize, const UPRIGHT: bool>(t: &Tile<'_>) {
        // SAFETY: the caller's; this function is compiled for AVX2 and FMA.
        unsafe { tile::<Avx2, HEIGHT, WIDTH, UPRIGHT>(t) }
    }

    /// 32 registers: up to 24 sums, the right operand's vectors, and one of the left.
    pub static AVX512: Kernels = Kernels {
        lanes: Avx512::COUNT,
        reads_part: true,
        heights: [12, 12, 6, 3],
        tiles: [
            heights!(avx512, 1, false, 1 2 3 4 5 6 7 8 9 10 11 12),
            heights!(avx512, 2, false, 1 2 3 4 5 6 7 8 9 10 11 12),
            heights!(avx512, 4, false, 1 2 3 4 5 6),
            heights!(avx512, 8, false, 1 2 3),
        ],
        upright: [
            heights!(avx512, 1, true, 1 2 3 4 5 6 7 8 9 10 11 12),
            heights!(avx512, 2, true, 1 2 3 4 5 6 7 8 9 10 11 12),
            heights!(avx512, 4, true, 1 2 3 4 5 6),
            heights!(avx512, 8, true, 1 2 3),
        ],
    };

    /// 16 registers: up to 12 sums.
    pub static AVX2: Kernels = Kernels {
        lanes: Avx2::COUNT,
        reads_part: true,
        heights: [6, 6, 3, 1],
        tiles: [
            heights!(avx2, 1, false, 1 2 3 4 5 6),
            heights!(avx2, 2, false, 1 2 3 4 5 6),
            heights!(avx2, 4, false, 1 2 3),
            heights!(avx2, 8, false, 1),
        ],
        upright: [
            heights!(avx2, 1, true, 1 2 3 4 5 6),
            heights!(avx2, 2, true, 1 2 3 4 5 6),
            heights!(avx2, 4, true, 1 2 3),
            heights!(avx2, 8, true, 1),
        ],
    };
}

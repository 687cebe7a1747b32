//! The innermost kernels: sums of products of words for a tile of pixels and filters.

use crate::kernels::isa::Isa;

/// Filters of a panel.
pub(super) const COLUMNS: usize = 32;

/// The most pixels of a tile.
pub(super) const ROWS: usize = 12;

/// What a tile reads.
pub(super) struct Tile<'a> {
    /// The input from the first pixel's patch on.
    pub a: &'a [u32],
    /// How far the next pixel's patch is.
    pub a_row: usize,
    /// How far from `a` the runs of a patch begin, in increasing order.
    pub runs: &'a [usize],
    /// The words of a run.
    pub run_len: usize,
    /// The panel: `runs.len() · run_len` rows of [`COLUMNS`] words.
    pub b: &'a [u32],
}

impl Tile<'_> {
    /// Whether operands have all that a tile of `height` pixels reads: what [`TileKernel`] asks for.
    fn is_within(&self, height: usize) -> bool {
        let reads = match self.runs.last() {
            Some(run) if self.run_len > 0 => {
                run + self.run_len - 1 + (height - 1) * self.a_row < self.a.len()
            }
            _ => true,
        };
        reads
            && self.runs.is_sorted()
            && self.runs.len() * self.run_len * COLUMNS <= self.b.len()
            && (1..=ROWS).contains(&height)
    }
}

/// The sums of a tile; of a tile with fewer pixels or filters the others are of any value.
pub(super) type Sums<S> = [[S; COLUMNS]; ROWS];

/// A kernel for a fixed number of pixels.
///
/// # Safety
/// The machine must have the instructions, and
/// - `runs` in increasing order with `runs[last] + run_len − 1 + (pixels − 1) · a_row < a.len()`,
/// - `runs.len() · run_len · COLUMNS ≤ b.len()`.
type TileKernel<S> = unsafe fn(&Tile<'_>, &mut Sums<S>);

/// The kernels of one instruction set for sums of one type.
pub(super) struct Kernels<S: 'static> {
    /// `tiles[pixels − 1]`, as many as the set has registers for.
    tiles: &'static [TileKernel<S>],
    /// The same for the first half of a panel alone.
    halves: &'static [TileKernel<S>],
}

impl<S> Kernels<S> {
    /// The most pixels of a tile.
    pub fn rows(&self) -> usize {
        self.tiles.len()
    }

    /// Sums for `height` pixels and the first `columns` filters of the panel.
    ///
    /// # Panics
    /// If a slice of the tile is too short.
    #[inline]
    pub fn sum(&self, height: usize, columns: usize, tile: &Tile<'_>, sums: &mut Sums<S>) {
        assert!(tile.is_within(height), "low precision: tile");
        let kernels = match columns <= COLUMNS / 2 {
            true => self.halves,
            false => self.tiles,
        };
        // SAFETY: what a kernel asks for was just seen; `int8` and `bfloat16` give kernels of instructions that
        // the machine has.
        unsafe { kernels[height - 1](tile, sums) }
    }
}

/// The kernels for products of four unsigned by four signed bytes.
pub(super) fn int8(isa: Isa) -> &'static Kernels<i32> {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        match isa {
            Isa::Avx512(_) if is_x86_feature_detected!("avx512vnni") => return &x86::AVX512_VNNI,
            Isa::Avx512(_) | Isa::Avx2(_) if is_x86_feature_detected!("avxvnni") => {
                return &x86::AVX_VNNI;
            }
            Isa::Avx512(_) | Isa::Avx2(_) => return &x86::AVX2,
            _ => {}
        }
    }
    let _ = isa;
    &PORTABLE_INT8
}

/// The kernels for products of two by two bfloat16.
pub(super) fn bfloat16(isa: Isa) -> &'static Kernels<f32> {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        match isa {
            Isa::Avx512(_) if is_x86_feature_detected!("avx512bf16") => return &x86::AVX512_BF16,
            Isa::Avx512(_) | Isa::Avx2(_) => return &x86::BFLOAT16_AVX2,
            _ => {}
        }
    }
    let _ = isa;
    &PORTABLE_BFLOAT16
}

/// A table of kernels of a generic function, one for each number of pixels.
macro_rules! by_rows {
    ($kernel:ident $width:tt: $($rows:literal)*) => {
        &[$($kernel::<$rows, $width>),*]
    };
}

/// Adds up by `step`, which adds the products of a word by each word of a row of the panel.
///
/// # Safety
/// As [`TileKernel`], but for the instructions.
#[inline(always)]
unsafe fn plain<S: Copy + Default, const HEIGHT: usize, const WIDTH: usize>(
    tile: &Tile<'_>,
    sums: &mut Sums<S>,
    step: impl Fn(u32, u32, S) -> S,
) {
    let mut b = tile.b.as_ptr();
    let mut tiles = [[S::default(); WIDTH]; HEIGHT];
    for &run in tile.runs {
        for k in 0..tile.run_len {
            // SAFETY: a row of the panel, of which there are runs.len() · run_len.
            let right = unsafe { &*b.cast::<[u32; COLUMNS]>() };
            b = b.wrapping_add(COLUMNS);
            for (row, sums) in tiles.iter_mut().enumerate() {
                // SAFETY: run ≤ runs[last], k ≤ run_len − 1, row ≤ HEIGHT − 1.
                let left = unsafe { *tile.a.get_unchecked(run + k + row * tile.a_row) };
                for (sum, &right) in sums.iter_mut().zip(right) {
                    *sum = step(left, right, *sum);
                }
            }
        }
    }
    for (sums, tile) in sums.iter_mut().zip(&tiles) {
        sums[..WIDTH].copy_from_slice(tile);
    }
}

#[inline(always)]
fn add_bytes(left: u32, right: u32, sum: i32) -> i32 {
    let (left, right) = (left.to_le_bytes(), right.to_le_bytes());
    let products = left.iter().zip(&right);
    products.fold(sum, |sum, (&left, &right)| {
        sum + i32::from(left) * i32::from(right as i8)
    })
}

/// The odd one first, as the instruction has it. Products of two numbers of 8 bits are exact, so that fused or not
/// they are rounded once.
#[inline(always)]
fn add_bfloat16(left: u32, right: u32, sum: f32) -> f32 {
    const ODD: u32 = 0xffff_0000;
    let number = f32::from_bits;
    let sum = sum + number(left & ODD) * number(right & ODD);
    sum + number(left << 16) * number(right << 16)
}

/// # Safety
/// As [`TileKernel`]; every machine has the instructions.
unsafe fn portable_int8<const HEIGHT: usize, const WIDTH: usize>(
    tile: &Tile<'_>,
    sums: &mut Sums<i32>,
) {
    // SAFETY: the caller's.
    unsafe { plain::<_, HEIGHT, WIDTH>(tile, sums, add_bytes) }
}

/// # Safety
/// As [`TileKernel`]; every machine has the instructions.
unsafe fn portable_bfloat16<const HEIGHT: usize, const WIDTH: usize>(
    tile: &Tile<'_>,
    sums: &mut Sums<f32>,
) {
    // SAFETY: the caller's.
    unsafe { plain::<_, HEIGHT, WIDTH>(tile, sums, add_bfloat16) }
}

pub(super) static PORTABLE_INT8: Kernels<i32> = Kernels {
    tiles: by_rows!(portable_int8 32: 1 2),
    halves: by_rows!(portable_int8 16: 1 2),
};

pub(super) static PORTABLE_BFLOAT16: Kernels<f32> = Kernels {
    tiles: by_rows!(portable_bfloat16 32: 1 2),
    halves: by_rows!(portable_bfloat16 16: 1 2),
};

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    //! What x86-64 has instructions for.

    use std::arch::x86_64::*;

    use super::{COLUMNS, Kernels, Sums, Tile, add_bfloat16, plain};

    /// A kernel of `HEIGHT` pixels and `WIDTH` vectors of filters. `load` reads a vector of the panel, `splat` makes
    /// one of a word, `add` adds the products of two of them, `store` writes sums.
    macro_rules! kernel {
        ($name:ident, $features:literal, $lanes:literal, $sum:ty,
            $zero:expr, $load:expr, $splat:expr, $add:expr, $store:expr) => {
            /// # Safety
            /// As [`TileKernel`](super::TileKernel).
            #[target_feature(enable = $features)]
            unsafe fn $name<const HEIGHT: usize, const WIDTH: usize>(
                tile: &Tile<'_>,
                sums: &mut Sums<$sum>,
            ) {
                // Strips of the panel whose sums stay in registers together: two vectors wide.
                const STRIP: usize = 2 * $lanes;
                let vectors = if WIDTH < 2 { WIDTH } else { 2 };
                for first in (0..WIDTH * $lanes).step_by(STRIP) {
                    let mut acc = [[$zero; 2]; HEIGHT];
                    let mut b = tile.b.as_ptr().wrapping_add(first);
                    for &run in tile.runs {
                        let mut a = tile.a.as_ptr().wrapping_add(run);
                        for _ in 0..tile.run_len {
                            // SAFETY: first + vectors · lanes ≤ COLUMNS, in a row of the panel, of which there
                            // are runs.len() · run_len.
                            let right = unsafe {
                                [$load(b), $load(b.wrapping_add((vectors - 1) * $lanes))]
                            };
                            for (row, acc) in acc.iter_mut().enumerate() {
                                // SAFETY: run ≤ runs[last], at most its last word, row ≤ HEIGHT − 1.
                                let left = $splat(unsafe { *a.wrapping_add(row * tile.a_row) });
                                acc[0] = $add(acc[0], left, right[0]);
                                if WIDTH > 1 {
                                    acc[1] = $add(acc[1], left, right[1]);
                                }
                            }
                            a = a.wrapping_add(1);
                            b = b.wrapping_add(COLUMNS);
                        }
                    }
                    for (acc, sums) in acc.iter().zip(sums.iter_mut()) {
                        for (vector, &acc) in acc.iter().take(vectors).enumerate() {
                            let to = &mut sums[first + vector * $lanes..][..$lanes];
                            // SAFETY: there are as many as lanes.
                            unsafe { $store(to.as_mut_ptr(), acc) };
                        }
                    }
                }
            }
        };
    }

    kernel!(
        avx512_vnni,
        "avx512f,avx512vnni",
        16,
        i32,
        _mm512_setzero_si512(),
        |from: *const u32| _mm512_loadu_si512(from.cast()),
        |word: u32| _mm512_set1_epi32(word as i32),
        |sum, left, right| _mm512_dpbusd_epi32(sum, left, right),
        |to: *mut i32, sum| _mm512_storeu_si512(to.cast(), sum)
    );

    kernel!(
        avx_vnni,
        "avx2,avxvnni",
        8,
        i32,
        _mm256_setzero_si256(),
        |from: *const u32| _mm256_loadu_si256(from.cast()),
        |word: u32| _mm256_set1_epi32(word as i32),
        |sum, left, right| _mm256_dpbusd_avx_epi32(sum, left, right),
        |to: *mut i32, sum| _mm256_storeu_si256(to.cast(), sum)
    );

    kernel!(
        avx2,
        "avx2",
        8,
        i32,
        _mm256_setzero_si256(),
        |from: *const u32| _mm256_loadu_si256(from.cast()),
        |word: u32| _mm256_set1_epi32(word as i32),
        |sum, left, right| exact(sum, left, right),
        |to: *mut i32, sum| _mm256_storeu_si256(to.cast(), sum)
    );

    /// Adds the products of unsigned by signed bytes in 16 bits, those at even places and those at odd ones. A pair
    /// of them is below 2 · 255 · 127, so that nothing saturates, as it does in `maddubs`.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(in crate::kernels::low_precision) fn exact(
        sum: __m256i,
        left: __m256i,
        right: __m256i,
    ) -> __m256i {
        let even_left = _mm256_and_si256(left, _mm256_set1_epi16(0xff));
        let odd_left = _mm256_srli_epi16::<8>(left);
        let even_right = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(right));
        let odd_right = _mm256_srai_epi16::<8>(right);
        let even = _mm256_madd_epi16(even_left, even_right);
        let odd = _mm256_madd_epi16(odd_left, odd_right);
        _mm256_add_epi32(sum, _mm256_add_epi32(even, odd))
    }

    kernel!(
        avx512_bf16,
        "avx512f,avx512bf16",
        16,
        f32,
        _mm512_setzero_ps(),
        |from: *const u32| bf16(_mm512_loadu_si512(from.cast())),
        |word: u32| bf16(_mm512_set1_epi32(word as i32)),
        |sum, left, right| _mm512_dpbf16_ps(sum, left, right),
        |to: *mut f32, sum| _mm512_storeu_ps(to, sum)
    );

    /// The same bits as 32 bfloat16.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn bf16(bits: __m512i) -> __m512bh {
        // SAFETY: both are 512 bits of any value.
        unsafe { std::mem::transmute::<__m512i, __m512bh>(bits) }
    }

    /// # Safety
    /// As [`TileKernel`](super::TileKernel).
    #[target_feature(enable = "avx2")]
    unsafe fn bfloat16_avx2<const HEIGHT: usize, const WIDTH: usize>(
        tile: &Tile<'_>,
        sums: &mut Sums<f32>,
    ) {
        // SAFETY: the caller's.
        unsafe { plain::<_, HEIGHT, WIDTH>(tile, sums, add_bfloat16) }
    }

    pub static AVX512_VNNI: Kernels<i32> = Kernels {
        tiles: by_rows!(avx512_vnni 2: 1 2 3 4 5 6 7 8 9 10 11 12),
        halves: by_rows!(avx512_vnni 1: 1 2 3 4 5 6 7 8 9 10 11 12),
    };
    pub static AVX_VNNI: Kernels<i32> = Kernels {
        tiles: by_rows!(avx_vnni 4: 1 2 3 4 5 6),
        halves: by_rows!(avx_vnni 2: 1 2 3 4 5 6),
    };
    pub static AVX2: Kernels<i32> = Kernels {
        tiles: by_rows!(avx2 4: 1 2 3 4),
        halves: by_rows!(avx2 2: 1 2 3 4),
    };
    pub static AVX512_BF16: Kernels<f32> = Kernels {
        tiles: by_rows!(avx512_bf16 2: 1 2 3 4 5 6 7 8 9 10 11 12),
        halves: by_rows!(avx512_bf16 1: 1 2 3 4 5 6 7 8 9 10 11 12),
    };
    pub static BFLOAT16_AVX2: Kernels<f32> = Kernels {
        tiles: by_rows!(bfloat16_avx2 32: 1 2),
        halves: by_rows!(bfloat16_avx2 16: 1 2),
    };
}

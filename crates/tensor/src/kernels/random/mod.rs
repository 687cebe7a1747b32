//! Random numbers that depend on a key and a position, and on nothing else.
//!
//! Element `i` of a call is a function of `(key, offset + i)`: the same seed gives the same numbers
//! on any number of threads, for any division of the work, and when a run is resumed in the middle.
//! The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
//! 1, 2, 3", SC 2011).
//!
//! ```
//! use regraft_tensor::kernels::random::{Key, uniform};
//!
//! let key = Key::new(42, 0);
//! let (mut all, mut end) = ([0.0; 100], [0.0; 10]);
//! uniform(key, 0, &mut all);
//! uniform(key, 90, &mut end);
//! assert_eq!(all[90..], end);
//! ```

mod normal;
mod philox;

pub use normal::{normal, truncated_normal};

use philox::{GROUP, group};

use super::isa::vectorised;
use super::parallel::parts;

/// Which sequence of random numbers: a seed, and a stream of that seed.
///
/// Two keys that differ in either part give independent sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The seed that the user gives.
    pub seed: u64,
    /// Which of the seed's sequences: one per layer, epoch, worker …
    pub stream: u64,
}

impl Key {
    /// Sequence `stream` of `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        Key { seed, stream }
    }

    /// A key for part `number` of whatever this key is for: `key.child(epoch).child(layer)`.
    #[must_use]
    pub fn child(self, number: u64) -> Self {
        // Two rounds of the SplitMix64 finaliser, so that neighbouring numbers and nested children
        // end far apart.
        let mix = |mut z: u64| {
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let step = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Key {
            seed: self.seed,
            stream: mix(mix(self.stream.wrapping_add(0x6a09_e667_f3bc_c909)) ^ step),
        }
    }
}

/// Work of one random number in units of a cheap elementwise operation.
const COST: usize = 4;

/// Words that are made and converted at a time.
const BUFFER: usize = 8 * GROUP;

/// How random words become numbers. A trait rather than a closure, because only a function can be
/// told to become part of the loop around it.
trait Conversion {
    type Number: Copy + Default;
    /// Makes as many numbers as there are words, each of its own pair of words.
    fn convert(words: &[u32], numbers: &mut [Self::Number]);
}

/// Fills `out` with the sequence's numbers from `offset` on.
#[inline(always)]
fn fill<C: Conversion>(key: Key, offset: u64, out: &mut [C::Number]) {
    let mut words = [0; BUFFER];
    let mut numbers = [C::Number::default(); BUFFER];
    // Groups begin at a whole block of the generator.
    let mut skip = (offset % 4) as usize;
    let mut block = offset / 4;
    let mut rest = out;
    while !rest.is_empty() {
        let (part, tail) = rest.split_at_mut(rest.len().min(BUFFER - skip));
        let used = (skip + part.len()).next_multiple_of(GROUP);
        for words in words[..used].as_chunks_mut().0 {
            group(key, block, words);
            block = block.wrapping_add(GROUP as u64 / 4);
        }
        C::convert(&words[..used], &mut numbers[..used]);
        part.copy_from_slice(&numbers[skip..skip + part.len()]);
        rest = tail;
        skip = 0;
    }
}

struct Bits;

impl Conversion for Bits {
    type Number = u32;

    #[inline(always)]
    fn convert(words: &[u32], numbers: &mut [u32]) {
        numbers.copy_from_slice(words);
    }
}

struct Uniform;

impl Conversion for Uniform {
    type Number = f32;

    #[inline(always)]
    fn convert(words: &[u32], numbers: &mut [f32]) {
        for (number, &word) in numbers.iter_mut().zip(words) {
            // 24 bits, as many as an f32 holds: every value is exact and below 1.
            *number = (word >> 8) as i32 as f32 * (1.0 / 16_777_216.0);
        }
    }
}

vectorised! {
    fn bits_part[](key: Key, offset: u64, out: &mut [u32]) {
        fill::<Bits>(key, offset, out);
    }
}

vectorised! {
    fn uniform_part[](key: Key, offset: u64, out: &mut [f32]) {
        fill::<Uniform>(key, offset, out);
    }
}

/// Random words: all 32 bits of element `offset + i` of the sequence in `out[i]`.
pub fn bits(key: Key, offset: u64, out: &mut [u32]) {
    parts(out, 4, COST, |start, out| {
        bits_part(key, offset.wrapping_add(start as u64), out)
    });
}

/// Numbers uniform in `[0, 1)`, multiples of 2⁻²⁴.
pub fn uniform(key: Key, offset: u64, out: &mut [f32]) {
    parts(out, 4, COST, |start, out| {
        uniform_part(key, offset.wrapping_add(start as u64), out)
    });
}

/// The numbers `0..n` in random order, each order equally likely (Fisher–Yates).
pub fn permutation(key: Key, n: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n).collect();
    let mut words = [0; 2 * GROUP];
    for position in (1..order.len()).rev() {
        let turn = order.len() - 1 - position;
        if turn.is_multiple_of(GROUP) {
            bits(key, 2 * turn as u64, &mut words);
        }
        let pair = 2 * (turn % GROUP);
        let word = u64::from(words[pair]) << 32 | u64::from(words[pair + 1]);
        // The high half of a 128-bit product: 64 bits leave no bias that could be seen.
        let other = (u128::from(word) * (position as u128 + 1)) >> 64;
        order.swap(position, other as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn a_number_depends_on_its_position_alone(
            seed: u64, stream: u64, offset in 0u64..1000, start in 0usize..300, length in 0usize..300,
        ) {
            let key = Key::new(seed, stream);
            let mut whole = vec![0.0; start + length];
            let mut part = vec![0.0; length];
            for fill in [uniform, normal, truncated_normal] {
                fill(key, offset, &mut whole);
                fill(key, offset + start as u64, &mut part);
                prop_assert_eq!(&whole[start..], &part[..]);
            }
        }

        #[test]
        fn a_permutation_has_every_number_once(seed: u64, n in 0u32..500) {
            let mut order = permutation(Key::new(seed, 1), n);
            order.sort_unstable();
            prop_assert!(order.into_iter().eq(0..n));
        }
    }

    #[test]
    fn the_number_of_threads_does_not_show() {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let mut out = vec![0.0; 300_001];
            pool.install(|| normal(Key::new(7, 0), 3, &mut out));
            out
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn uniform_numbers_fill_the_unit_interval_evenly() {
        let mut x = vec![0.0; 160_000];
        uniform(Key::new(1, 2), 0, &mut x);
        assert!(x.iter().all(|&x| (0.0..1.0).contains(&x)));
        let mut bins = [0u32; 16];
        x.iter().for_each(|&x| bins[(x * 16.0) as usize] += 1);
        let expected = x.len() as f64 / 16.0;
        let chi2: f64 = bins
            .iter()
            .map(|&b| (f64::from(b) - expected).powi(2) / expected)
            .sum();
        // 15 degrees of freedom: 37.7 is exceeded once in a thousand seeds, and this seed is fixed.
        assert!(chi2 < 37.7, "{chi2}");
        let lagged: f64 = x
            .windows(2)
            .map(|w| f64::from((w[0] - 0.5) * (w[1] - 0.5)))
            .sum();
        let correlation = lagged / x.len() as f64 * 12.0;
        assert!(correlation.abs() < 0.01, "{correlation}");
    }

    #[test]
    fn streams_and_children_differ() {
        let key = Key::new(5, 0);
        let keys = [
            key,
            Key::new(5, 1),
            Key::new(6, 0),
            key.child(0),
            key.child(1),
            key.child(0).child(1),
        ];
        let mut seen = Vec::new();
        for key in keys {
            let mut words = [0; 8];
            bits(key, 0, &mut words);
            assert!(!seen.contains(&words));
            seen.push(words);
        }
    }

    #[test]
    fn every_order_of_three_is_equally_likely() {
        let mut counts = std::collections::BTreeMap::new();
        for seed in 0..6000 {
            *counts.entry(permutation(Key::new(seed, 0), 3)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(
            counts
                .values()
                .all(|&count: &i32| (count - 1000).abs() < 130),
            "{counts:?}"
        );
    }
}

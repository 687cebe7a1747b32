//! The generator: a keyed bijection of a 128-bit counter, ten rounds.

use super::Key;

/// Words made at a time: sixteen blocks of four, one block per lane of a wide vector.
pub(super) const GROUP: usize = 64;

const BLOCKS: usize = GROUP / 4;

/// Multipliers and key increments of the paper.
const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const INCREMENTS: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];

/// High and low half of a product.
#[inline(always)]
fn product(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, product as u32)
}

/// Encrypts one counter per lane.
#[inline(always)]
fn rounds<const N: usize>(counter: &mut [[u32; N]; 4], mut key: [u32; 2]) {
    for round in 0..10 {
        if round > 0 {
            key[0] = key[0].wrapping_add(INCREMENTS[0]);
            key[1] = key[1].wrapping_add(INCREMENTS[1]);
        }
        let [c0, c1, c2, c3] = counter;
        for lane in 0..N {
            let (high0, low0) = product(MULTIPLIERS[0], c0[lane]);
            let (high1, low1) = product(MULTIPLIERS[1], c2[lane]);
            c0[lane] = high1 ^ c1[lane] ^ key[0];
            c1[lane] = low1;
            c2[lane] = high0 ^ c3[lane] ^ key[1];
            c3[lane] = low0;
        }
    }
}

/// The words of blocks `first..first + 16` of a key's sequence.
#[inline(always)]
pub(super) fn group(key: Key, first: u64, words: &mut [u32; GROUP]) {
    let block = |lane: usize| first.wrapping_add(lane as u64);
    let mut counter = [
        std::array::from_fn::<u32, BLOCKS, _>(|lane| block(lane) as u32),
        std::array::from_fn(|lane| (block(lane) >> 32) as u32),
        [key.stream as u32; BLOCKS],
        [(key.stream >> 32) as u32; BLOCKS],
    ];
    rounds(&mut counter, [key.seed as u32, (key.seed >> 32) as u32]);
    for (lane, block) in words.chunks_exact_mut(4).enumerate() {
        for (word, counter) in block.iter_mut().zip(&counter) {
            *word = counter[lane];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that the authors publish with their implementation (Random123,
    /// `kat_vectors`, lines `philox4x32 10`).
    #[test]
    fn gives_the_published_answers() {
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        let cases = [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [!0; 4],
                [!0; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                pi,
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            let mut counter = counter.map(|word: u32| [word; 1]);
            rounds(&mut counter, key);
            assert_eq!(counter.map(|word| word[0]), expected);
        }
    }

    #[test]
    fn the_key_and_the_block_make_the_counter() {
        let (seed, stream) = (0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321);
        let first = u64::from(u32::MAX) - 1;
        let mut words = [0; GROUP];
        group(Key::new(seed, stream), first, &mut words);
        // The third block is the one where the lower half of the counter has wrapped round.
        let mut counter = [[1], [1], [0x8765_4321], [0x0fed_cba9]];
        rounds(&mut counter, [0x9abc_def0, 0x1234_5678]);
        assert_eq!(words[12..16], counter.map(|word| word[0]));
    }
}

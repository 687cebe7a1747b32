//! Setting pictures aside by group, so that the same picture always falls on the same side.

use std::collections::HashMap;

/// Which pictures are held out: whole groups, chosen by a hash of what is in them and nothing else.
///
/// A group goes by the smallest content hash of its pictures. So neither names nor the order nor other pictures nor
/// classes matter: adding pictures moves none across, except that a near duplicate may move the group that it joins.
/// About `share` of the groups is held out; of few it may be none, or all of a class.
///
/// ```
/// use regraft_pictures::held_out;
///
/// let contents = [[1; 32], [2; 32], [3; 32], [4; 32]];
/// // The first two are near duplicates.
/// let held = held_out(&contents, &[0, 0, 1, 2], 0.5);
/// assert_eq!(held[0], held[1]);
/// ```
pub fn held_out(contents: &[[u8; 32]], groups: &[usize], share: f64) -> Vec<bool> {
    let mut smallest: HashMap<usize, [u8; 32]> = HashMap::new();
    for (content, group) in contents.iter().zip(groups) {
        let least = smallest.entry(*group).or_insert(*content);
        *least = (*least).min(*content);
    }
    // Evenly spread from 0 to 1, whatever the number of pictures in the group.
    let place = |content: &[u8; 32]| {
        let hash = blake3::hash(content);
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash.as_bytes()[..8]);
        (u64::from_be_bytes(bytes) >> 11) as f64 / (1_u64 << 53) as f64
    };
    let is_held = |group| place(&smallest[group]) < share;
    groups.iter().map(is_held).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contents(count: usize) -> Vec<[u8; 32]> {
        let hash = |number: usize| *blake3::hash(&number.to_le_bytes()).as_bytes();
        (0..count).map(hash).collect()
    }

    #[test]
    fn about_the_share_is_held_out_and_groups_stay_whole() {
        let contents = contents(3000);
        let groups: Vec<usize> = (0..3000).map(|index| index / 3).collect();
        let held = held_out(&contents, &groups, 0.2);
        let count = held.iter().filter(|held| **held).count();
        assert!((450..750).contains(&count), "{count}");
        for triple in held.chunks(3) {
            assert!(triple.iter().all(|held| *held == triple[0]));
        }
        assert!(held_out(&contents, &groups, 1.0).iter().all(|held| *held));
        assert!(!held_out(&contents, &groups, 0.0).contains(&true));
    }

    proptest! {
        #[test]
        fn pictures_that_are_added_move_none_across(
            few in 1_usize..12, more in 1_usize..60, share in 0.05..0.95_f64, seed: u64,
        ) {
            let mut contents = contents(few + more);
            contents.iter_mut().for_each(|content| content[..8].copy_from_slice(&seed.to_le_bytes()));
            contents.sort_by_key(|content| blake3::hash(content).as_bytes()[0]);
            // Pairs; what is added makes pairs of its own.
            let groups: Vec<usize> = (0..few).map(|index| index / 2).chain((few..few + more).map(|index| few + index / 2)).collect();
            let before = held_out(&contents[..few], &groups[..few], share);
            let after = held_out(&contents, &groups, share);
            prop_assert_eq!(&before[..], &after[..few]);
            // Nor does their order, or the numbers of the groups.
            let turned: Vec<[u8; 32]> = contents.iter().rev().copied().collect();
            let numbers: Vec<usize> = groups.iter().rev().map(|group| 1000 - group).collect();
            let mut turned = held_out(&turned, &numbers, share);
            turned.reverse();
            prop_assert_eq!(turned, after);
        }
    }
}

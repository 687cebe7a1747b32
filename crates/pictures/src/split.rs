//! Setting pictures aside by group, so that the same picture always falls on the same side.

use std::collections::BTreeMap;

/// Which pictures are held out: whole groups, chosen by a hash of what is in them.
///
/// A group goes by the smallest content hash of its pictures. So neither names nor the order nor other pictures
/// matter: adding pictures moves none across, except that a near duplicate may move the group that it joins. A class
/// keeps at least half of its groups.
///
/// ```
/// use regraft_pictures::held_out;
///
/// let contents = [[1; 32], [2; 32], [3; 32], [4; 32]];
/// // The first two are near duplicates.
/// let held = held_out(&contents, &[0, 0, 1, 2], &[0, 0, 0, 0], 0.5);
/// assert_eq!(held[0], held[1]);
/// ```
pub fn held_out(
    contents: &[[u8; 32]],
    groups: &[usize],
    classes: &[usize],
    share: f64,
) -> Vec<bool> {
    let mut smallest: BTreeMap<usize, [u8; 32]> = BTreeMap::new();
    for (content, group) in contents.iter().zip(groups) {
        let least = smallest.entry(*group).or_insert(*content);
        *least = (*least).min(*content);
    }
    // Evenly spread from 0 to 1, whatever the number of pictures in the group.
    let place = |group: usize| {
        let hash = blake3::hash(&smallest[&group]);
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash.as_bytes()[..8]);
        (u64::from_be_bytes(bytes) >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut of_class: BTreeMap<usize, Vec<(f64, usize)>> = BTreeMap::new();
    for (group, class) in groups.iter().zip(classes) {
        let groups = of_class.entry(*class).or_default();
        if !groups.iter().any(|(_, other)| other == group) {
            groups.push((place(*group), *group));
        }
    }
    let mut held = BTreeMap::new();
    for groups in of_class.values_mut() {
        groups.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (rank, (place, group)) in groups.iter().enumerate() {
            // Of a group in several classes each must agree.
            let out = *place < share && rank < groups.len() / 2;
            *held.entry(*group).or_insert(true) &= out;
        }
    }
    groups.iter().map(|group| held[group]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(count: usize) -> Vec<[u8; 32]> {
        let hash = |number: usize| *blake3::hash(&number.to_le_bytes()).as_bytes();
        (0..count).map(hash).collect()
    }

    #[test]
    fn about_the_share_is_held_out_and_groups_stay_whole() {
        let contents = contents(3000);
        let groups: Vec<usize> = (0..3000).map(|index| index / 3).collect();
        let classes: Vec<usize> = (0..3000).map(|index| index / 750).collect();
        let held = held_out(&contents, &groups, &classes, 0.2);
        let count = held.iter().filter(|held| **held).count();
        assert!((450..750).contains(&count), "{count}");
        for triple in held.chunks(3) {
            assert!(triple.iter().all(|held| *held == triple[0]));
        }
    }

    #[test]
    fn pictures_that_are_added_move_none_across() {
        let contents = contents(400);
        let groups: Vec<usize> = (0..400).collect();
        let classes: Vec<usize> = (0..400).map(|index| index % 4).collect();
        let few = held_out(&contents[..200], &groups[..200], &classes[..200], 0.25);
        let many = held_out(&contents, &groups, &classes, 0.25);
        assert_eq!(few, many[..200]);
        // Nor does their order, or the numbers of the groups.
        let turned: Vec<[u8; 32]> = contents.iter().rev().copied().collect();
        let classes: Vec<usize> = classes.iter().rev().copied().collect();
        let mut turned = held_out(&turned, &groups, &classes, 0.25);
        turned.reverse();
        assert_eq!(turned, many);
    }

    #[test]
    fn every_class_keeps_pictures() {
        let contents = contents(6);
        let held = held_out(&contents, &[0, 1, 2, 3, 4, 5], &[0, 0, 1, 1, 2, 2], 1.0);
        assert_eq!(held.iter().filter(|held| **held).count(), 3);
        assert!(!held_out(&contents[..1], &[0], &[0], 1.0)[0]);
    }
}

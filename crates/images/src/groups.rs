//! Which pictures belong together, so that no split parts them: the same pixels, nearly the same look, and what the
//! user says.

use std::collections::HashMap;

use crate::Inspection;

/// How many bits of the perceptual hashes may differ between pictures that nearly are the same.
pub const NEAR: u32 = 4;

/// The group of each picture: two are in one if a chain of pictures leads from one to the other of which neighbours
/// have the same pixels, perceptual hashes that differ in at most [`NEAR`] bits, or the same number in `also`. A group's
/// number is that of its first picture. What a [blank](crate::FindingKind::Blank) picture looks like says nothing.
///
/// It takes time in proportion to `n·log n` for `n` pictures that look different.
///
/// # Panics
/// If `also` has not one number for each picture.
pub fn groups(inspections: &[Inspection], also: Option<&[usize]>) -> Vec<usize> {
    let mut sets = Sets::new(inspections.len());
    join_same(&mut sets, inspections.iter().map(|picture| picture.pixels));
    join_near(&mut sets, &looks(inspections));
    if let Some(also) = also {
        assert_eq!(also.len(), inspections.len(), "a number for each picture");
        join_same(&mut sets, also.iter().copied());
    }
    sets.firsts()
}

/// The hashes of what pictures look like, and whose each is, without blank pictures.
pub(crate) fn looks(inspections: &[Inspection]) -> Vec<(u64, usize)> {
    let seen = inspections
        .iter()
        .enumerate()
        .filter(|(_, picture)| !picture.is_blank());
    seen.map(|(number, picture)| (picture.perceptual, number))
        .collect()
}

/// Joins what has the same key.
pub(crate) fn join_same<K: Eq + std::hash::Hash>(sets: &mut Sets, keys: impl Iterator<Item = K>) {
    let mut first = HashMap::new();
    for (number, key) in keys.enumerate() {
        sets.join(*first.entry(key).or_insert(number), number);
    }
}

/// The first bit of each of the parts of a hash, and the end.
const PARTS: [u32; 7] = [0, 11, 22, 33, 44, 54, 64];

/// Joins whose hashes differ in at most [`NEAR`] bits. Four bits lie in at most four of six parts of the hash, so two
/// parts at least are the same: sorted by each two parts, such hashes are neighbours once.
pub(crate) fn join_near(sets: &mut Sets, looks: &[(u64, usize)]) {
    let mut looks = looks.to_vec();
    looks.sort_unstable();
    let mut unique: Vec<(u64, usize)> = Vec::with_capacity(looks.len());
    for (hash, number) in looks {
        match unique.last() {
            Some(&(same, first)) if same == hash => sets.join(first, number),
            _ => unique.push((hash, number)),
        }
    }
    let part = |part: usize| (u64::MAX >> (64 - (PARTS[part + 1] - PARTS[part]))) << PARTS[part];
    for first in 0..6 {
        for second in first + 1..6 {
            let mask = part(first) | part(second);
            unique.sort_unstable_by_key(|(hash, _)| hash & mask);
            for alike in unique.chunk_by(|(left, _), (right, _)| left & mask == right & mask) {
                for (place, (left, number)) in alike.iter().enumerate() {
                    for (right, other) in &alike[place + 1..] {
                        if (left ^ right).count_ones() <= NEAR {
                            sets.join(*number, *other);
                        }
                    }
                }
            }
        }
    }
}

/// Numbers in sets that are joined.
pub(crate) struct Sets {
    /// A smaller number of the same set, or itself.
    before: Vec<usize>,
}

impl Sets {
    pub(crate) fn new(numbers: usize) -> Self {
        Sets {
            before: (0..numbers).collect(),
        }
    }

    fn first(&mut self, mut number: usize) -> usize {
        while self.before[number] != number {
            // The way is halved for the next time.
            self.before[number] = self.before[self.before[number]];
            number = self.before[number];
        }
        number
    }

    pub(crate) fn join(&mut self, left: usize, right: usize) {
        let (left, right) = (self.first(left), self.first(right));
        self.before[left.max(right)] = left.min(right);
    }

    /// The first number of the set of each.
    pub(crate) fn firsts(mut self) -> Vec<usize> {
        (0..self.before.len())
            .map(|number| self.first(number))
            .collect()
    }

    /// The sets of more than one, each ascending.
    pub(crate) fn several(self) -> Vec<Vec<usize>> {
        let mut sets: HashMap<usize, Vec<usize>> = HashMap::new();
        for (number, first) in self.firsts().into_iter().enumerate() {
            sets.entry(first).or_default().push(number);
        }
        let mut several: Vec<Vec<usize>> = sets.into_values().filter(|set| set.len() > 1).collect();
        several.sort();
        several
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn near_hashes_are_found_as_by_comparing_all(
            hashes in prop::collection::vec(any::<u64>(), 1..12),
            changes in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(0_u32..64, 0..7)), 0..40),
        ) {
            let mut hashes = hashes;
            for (of, bits) in changes {
                let hash = hashes[of.index(hashes.len())];
                hashes.push(bits.iter().fold(hash, |hash, bit| hash ^ 1 << bit));
            }
            let looks: Vec<(u64, usize)> = hashes.iter().copied().zip(0..).collect();
            let mut fast = Sets::new(hashes.len());
            join_near(&mut fast, &looks);
            let mut slow = Sets::new(hashes.len());
            for (left, number) in &looks {
                for (right, other) in &looks {
                    if (left ^ right).count_ones() <= NEAR {
                        slow.join(*number, *other);
                    }
                }
            }
            prop_assert_eq!(fast.firsts(), slow.firsts());
        }
    }
}

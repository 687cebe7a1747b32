//! Which samples are left out together.

use std::collections::HashSet;

use rayon::prelude::*;

use crate::samples::Samples;

/// What is left out together.
pub(crate) struct Blocks {
    /// None is empty.
    pub all: Vec<Vec<usize>>,
}

impl Blocks {
    /// Each group alone.
    pub fn groups(samples: &Samples) -> Self {
        Blocks::new(samples.members.clone())
    }

    /// A group of each class, so that what is left has nearly the same shares of classes as all. A class with fewer
    /// groups than the largest is in some blocks only, and no class is in a block with two of its groups, so that one
    /// of several groups never vanishes.
    pub fn of_each_class(samples: &Samples) -> Self {
        let mut of_class = vec![Vec::new(); samples.classes()];
        for (group, members) in samples.members.iter().enumerate() {
            of_class[samples.labels[members[0]]].push(group);
        }
        let count = samples.class_groups.iter().copied().max().unwrap_or(0);
        if count < 2 {
            // One of each class would be all.
            return Blocks::groups(samples);
        }
        let mut blocks = vec![Vec::new(); count];
        let mut inside: Vec<HashSet<usize>> = vec![HashSet::new(); count];
        for (class, groups) in of_class.iter().enumerate() {
            for (i, &group) in groups.iter().enumerate() {
                // Spread evenly, classes beginning at different places.
                let wanted =
                    i * count / groups.len() + class * count / (groups.len() * of_class.len());
                // The next one without a group of any of its classes: the first, but for groups of several classes.
                let classes = samples.classes_of(&samples.members[group]);
                let is_free = |place: &usize| {
                    let inside = &inside[*place];
                    !classes.iter().any(|class| inside.contains(class))
                };
                let mut places = (0..count).map(|i| (wanted + i) % count);
                let place = places
                    .find(is_free)
                    .or_else(|| (count..blocks.len()).find(is_free));
                let place = place.unwrap_or_else(|| {
                    blocks.push(Vec::new());
                    inside.push(HashSet::new());
                    blocks.len() - 1
                });
                blocks[place].extend(&samples.members[group]);
                inside[place].extend(classes);
            }
        }
        Blocks::new(blocks)
    }

    fn new(mut all: Vec<Vec<usize>>) -> Self {
        all.retain(|block| !block.is_empty());
        Blocks { all }
    }

    /// Writes to `rows`, which has `columns` numbers of each sample, those that `of_block` makes of the members of each
    /// block with at least so many.
    pub fn write(
        &self,
        least: usize,
        rows: &mut [f64],
        columns: usize,
        of_block: impl Fn(&[usize]) -> Vec<f64> + Sync,
    ) {
        let parts: Vec<(&Vec<usize>, Vec<f64>)> = self
            .all
            .par_iter()
            .filter(|members| members.len() >= least)
            .map(|members| (members, of_block(members)))
            .collect();
        for (members, part) in parts {
            for (&i, part) in members.iter().zip(part.chunks_exact(columns)) {
                rows[i * columns..][..columns].copy_from_slice(part);
            }
        }
    }
}

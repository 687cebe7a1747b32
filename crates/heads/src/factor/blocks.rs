//! Which samples are left out together.

use std::collections::HashSet;

use crate::samples::Samples;

/// What is left out together.
pub(crate) struct Blocks {
    /// Whether any sample is left out alone.
    pub(super) singles: bool,
    pub(super) larger: Vec<Vec<usize>>,
    /// All of them, single ones too.
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

    fn new(blocks: Vec<Vec<usize>>) -> Self {
        let (singles, larger): (Vec<_>, Vec<_>) =
            blocks.into_iter().partition(|block| block.len() < 2);
        let all = singles.iter().chain(&larger).cloned().collect();
        Blocks {
            all,
            singles: singles.iter().any(|block| !block.is_empty()),
            larger,
        }
    }
}

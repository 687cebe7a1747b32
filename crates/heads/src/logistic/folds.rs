//! The division of groups into folds, each left out once.

use crate::samples::Samples;

/// The fold of each sample: groups of a class one after the other, classes beginning at different folds. With
/// groups of several classes one goes where none of its classes is alone so far, and where the fewest of their groups are.
pub(crate) fn folds(samples: &Samples, count: usize) -> Vec<usize> {
    let mut fold = vec![0; samples.len()];
    let mut next: Vec<usize> = (0..samples.classes()).collect();
    // How many groups of each class are in each fold.
    let mut inside = vec![vec![0_usize; count]; samples.classes()];
    let mut placed = vec![0_usize; samples.classes()];
    for members in &samples.members {
        let classes = samples.classes_of(members);
        let of_class = &mut next[classes[0]];
        let first = *of_class;
        *of_class += 1;
        let costs = |place: usize| {
            let here = |class: &usize| inside[*class][place];
            let all_here = |class: &&usize| here(class) > 0 && here(class) == placed[**class];
            let only = classes.iter().filter(all_here).count();
            (only, classes.iter().map(here).max())
        };
        let place = (0..count)
            .map(|i| (first + i) % count)
            .min_by_key(|&place| costs(place))
            .expect("two folds or more");
        members.iter().for_each(|&i| fold[i] = place);
        for class in classes {
            inside[class][place] += 1;
            placed[class] += 1;
        }
    }
    fold
}

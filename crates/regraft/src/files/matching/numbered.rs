//! Variables that TensorFlow's files know by their place among the objects alone, as the statistics of an
//! adapted normalization in Keras 2: `layer_with_weights-2`, or `layer_with_weights-1/layer_with_weights-0`
//! in a nested model.

use std::collections::HashSet;

use regraft_io::SavedLayer;

use super::{Wanted, old_names};

/// Gives the layers that names did not find what names did not place: what has the same names and sizes of
/// weights, if only one pair can be meant, or all in their order, if there are as many and each fits.
pub(super) fn pair(
    wanted: &[&Wanted<'_>],
    saved: &[&SavedLayer],
    is_open: impl Fn(&Wanted<'_>) -> bool,
    found: &mut [Option<usize>],
) {
    let taken: HashSet<usize> = found.iter().flatten().copied().collect();
    let free = (0..saved.len()).filter(|place| !taken.contains(place));
    let mut free: Vec<(Vec<u64>, usize)> = free
        .filter_map(|place| Some((numbers(&saved[place].path)?, place)))
        .collect();
    // The numbers are in the order of the layers at each depth.
    free.sort();
    let open: Vec<usize> = (0..wanted.len())
        .filter(|&at| found[at].is_none() && is_open(wanted[at]))
        .collect();
    let fits = |at: usize, place: usize| is_like(wanted[at], saved[place]);
    let in_order = open.len() == free.len()
        && open
            .iter()
            .zip(&free)
            .all(|(&at, &(_, place))| fits(at, place));
    for (position, &at) in open.iter().enumerate() {
        if in_order {
            found[at] = Some(free[position].1);
            continue;
        }
        let places: Vec<usize> = free.iter().map(|(_, place)| *place).collect();
        let mut fitting = places.into_iter().filter(|&place| fits(at, place));
        if let (Some(place), None) = (fitting.next(), fitting.next())
            && open.iter().filter(|&&other| fits(other, place)).count() == 1
        {
            found[at] = Some(place);
        }
    }
}

/// The numbers of a path of nothing but numbered layers.
fn numbers(path: &str) -> Option<Vec<u64>> {
    let number = |part: &str| part.strip_prefix("layer_with_weights-")?.parse().ok();
    path.split('/').map(number).collect()
}

/// Whether both have weights of the same names and sizes.
fn is_like(wanted: &Wanted<'_>, saved: &SavedLayer) -> bool {
    wanted.weights.len() == saved.weights.len()
        && wanted.weights.iter().all(|(_, weight)| {
            let mut saved = saved.weights.iter();
            saved.any(|saved| {
                let means = |name: &str| old_names::means(name, weight.name());
                saved.variable().is_some_and(means)
                    && saved.tensor.shape() == weight.value().shape()
            })
        })
}

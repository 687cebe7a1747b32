//! Passes: small rewrites of a graph that keep its numbers (all but [`fold_scales`] every bit).
//! [`optimize`] runs [`ALL`] in order before a program is compiled; each can be run and tested alone. Two that change
//! numbers, [`low_precision`] and [`winograd`], are run by who asks for them.

mod broadcasts;
mod cacheable;
mod fold;
mod fold_scales;
mod fuse;
mod join_cross_entropies;
mod join_recurrences;
mod liveness;
mod low_precision;
mod prune;
mod recompute;
mod share;
mod skip_pads;
mod winograd;

pub use broadcasts::skip_broadcasts;
pub use cacheable::{Split, cacheable, keeps_samples_apart, split, split_at};
pub use fold::fold_constants;
pub use fold_scales::fold_scales;
pub use fuse::fuse;
pub use join_cross_entropies::join_cross_entropies;
pub use join_recurrences::join_recurrences;
pub use liveness::{Slots, assign_slots};
pub(crate) use liveness::{TYPICAL_BATCH, copy_leaf_outputs};
pub use low_precision::{NumberFormat, low_precision};
pub use prune::prune;
pub use recompute::{LeastMemory, recompute};
pub use share::share;
pub use skip_pads::skip_pads;
pub use winograd::winograd;

use crate::Nodes;

/// A pass, with the name under which it is traced.
pub type Pass = (&'static str, fn(&Nodes) -> Nodes);

/// All passes in the order in which each finds what the one before prepared: drop what nobody asks
/// for, repeat nothing and put no border around anything where an op does so itself, compute what is
/// constant, compute the same thing once, a loss and its gradient from the same exponentials, a recurrence and its
/// gradient from the same steps, fold factors into constant weights, fuse products with what follows them.
pub const ALL: [Pass; 9] = [
    ("prune", prune),
    ("skip_broadcasts", skip_broadcasts),
    ("skip_pads", skip_pads),
    ("fold_constants", fold_constants),
    ("share", share),
    ("join_cross_entropies", join_cross_entropies),
    ("join_recurrences", join_recurrences),
    ("fold_scales", fold_scales),
    ("fuse", fuse),
];

/// What all passes make of `nodes`.
pub fn optimize(nodes: &Nodes) -> Nodes {
    optimize_traced(nodes, |_, _| ())
}

/// What all passes but the last, [`fuse`], make of `nodes`: what [`low_precision`] and [`winograd`] take.
pub fn optimize_unfused(nodes: &Nodes) -> Nodes {
    let passes = &ALL[..ALL.len() - 1];
    let start = nodes.clone();
    passes.iter().fold(start, |nodes, (_, pass)| pass(&nodes))
}

/// As [`optimize`]; `after` is shown the nodes after each pass, with its name.
///
/// ```
/// # use regraft_autograd::{Graph, passes};
/// # let graph = Graph::new();
/// # let y = graph.samples("x", &[2]) * 1.0;
/// passes::optimize_traced(&graph.nodes_for(&[y]), |pass, nodes| println!("{pass}\n{nodes}"));
/// ```
pub fn optimize_traced(nodes: &Nodes, mut after: impl FnMut(&str, &Nodes)) -> Nodes {
    let mut nodes = nodes.clone();
    for (name, pass) in ALL {
        nodes = pass(&nodes);
        after(name, &nodes);
    }
    nodes
}

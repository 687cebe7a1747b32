//! Passes: small rewrites of a graph that keep its numbers (all but [`fold_scales`] every bit).
//! [`optimize`] runs them in order before a
//! program is compiled; each can be run and tested alone.

mod broadcasts;
mod cacheable;
mod fold;
mod fold_scales;
mod fuse;
mod liveness;
mod prune;
mod share;

pub use broadcasts::skip_broadcasts;
pub use cacheable::{Split, cacheable, split, split_at};
pub use fold::fold_constants;
pub use fold_scales::fold_scales;
pub use fuse::fuse;
pub use liveness::{Slots, assign_slots};
pub use prune::prune;
pub use share::share;

use crate::Nodes;

/// All passes in the order in which each finds what the one before prepared: drop what nobody asks
/// for, repeat nothing that an op repeats itself, compute what is constant, compute the same thing
/// once, fold factors into constant weights, fuse products with what follows them.
pub fn optimize(nodes: &Nodes) -> Nodes {
    let shared = share(&fold_constants(&skip_broadcasts(&prune(nodes))));
    fuse(&fold_scales(&shared))
}

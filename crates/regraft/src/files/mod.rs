//! Models and weights in files: opening, loading, saving, and what is told of each.

pub(crate) mod adapters;
pub(crate) mod inspection;
mod keras2;
mod keys;
pub(crate) mod layout;
pub(crate) mod load;
mod load_plan;
pub(crate) mod load_report;
mod load_weights;
pub(crate) mod loss_scaling;
pub(crate) mod matching;
pub(crate) mod name_map;
mod open;
pub(crate) mod optimizer_state;
mod recurrent_pytorch;
mod reparametrized;
pub(crate) mod save;
mod shared;
mod sizes;
mod vocabularies;

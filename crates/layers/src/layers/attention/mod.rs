//! Layers in which steps of a sequence look at each other.

mod additive;
mod argument;
mod dot;
mod grouped_query;
mod heads;
mod multi_head;
mod scored;
#[cfg(test)]
pub(in crate::layers) mod tests;

pub use additive::AdditiveAttention;
pub use argument::{AttentionInput, AttentionInputs};
pub use dot::Attention;
pub use grouped_query::GroupQueryAttention;
pub use multi_head::MultiHeadAttention;

//! Layers that make numbers for a model of what is not yet fit for it: words, codes, amounts.
//!
//! They have no weights; what they know (a vocabulary, boundaries) is part of their settings and comes from
//! [`adapt`](StringLookup::adapt) or from a file. They have no gradient, and being frozen changes
//! nothing.

mod category_encoding;
mod discretization;
mod encoding;
mod fingerprint;
mod hashing;
mod integer_lookup;
mod map_integers;
mod sip_hash;
mod string_lookup;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use category_encoding::CategoryEncoding;
pub use discretization::Discretization;
pub use encoding::OutputMode;
pub use hashing::Hashing;
pub use integer_lookup::IntegerLookup;
pub use string_lookup::StringLookup;

//! Data sets made of data sets: the methods of [`Dataset`](crate::Dataset) that take one and give another.

mod balanced;
mod cached;
mod map;
mod selected;
mod views;

pub use balanced::Balanced;
pub use cached::Cached;
pub use map::{Map, Row};
pub use selected::Selected;
pub use views::Views;

#[cfg(test)]
mod tests;

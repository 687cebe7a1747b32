#![doc = include_str!("../README.md")]

mod encoded;
mod error;
mod texts;
mod tokenizer;
mod vocabulary;

pub use encoded::Encoded;
pub use error::{Error, Result};
pub use texts::Texts;
pub use tokenizer::Tokenizer;

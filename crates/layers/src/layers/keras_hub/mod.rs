//! Layers of KerasHub of which encoders of texts are made.

mod position_embedding;
mod sine_position_encoding;
#[cfg(test)]
mod tests;
mod token_and_position_embedding;
mod transformer_encoder;

pub use position_embedding::PositionEmbedding;
pub use sine_position_encoding::SinePositionEncoding;
pub use token_and_position_embedding::TokenAndPositionEmbedding;
pub use transformer_encoder::TransformerEncoder;

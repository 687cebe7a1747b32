//! Products and convolutions of narrower numbers: 8-bit integers, or bfloat16.
//!
//! **int8.** A value `x` is kept as one byte `q`, `x ≈ (q − zero) · step` ([`Quantization`]), a weight as a signed
//! byte with a step for each filter and without a zero. A sum of products is one of integers, which is exact: in
//! whatever order, by whatever instructions, the result is the same. What ends it is
//! `sum · scale + offset`, the residual, the activation and perhaps the rounding to a byte, each operation rounded by
//! itself. So every machine gives the same bytes.
//!
//! **bfloat16.** A value is rounded to 8 significant bits, products are exact in 32 bits, sums are of 32 bits. A sum
//! goes over pairs of `k`, the odd one of a pair first, on every machine; only numbers below 1.2e-38 are zero where
//! the processor's own instruction takes them.
//!
//! # One tile
//!
//! As in [`convolution`](super::convolution), patches are not written out: a tile of up to 12 pixels and 32 filters
//! goes through the runs of each pixel's patch. What it reads at a time is a *word* of 32 bits, 4 bytes or 2
//! bfloat16 of neighbouring channels, and a row of the panel, a word for each of the filters:
//!
//! ```text
//!  input, words                        kernel, a panel of 32 filters     sums of a tile
//!  pixel 1: [c0 c1 c2 c3][c4 …]        [f0: w0 w1 w2 w3][f1: …]…         ┌──────────────────┐
//!  pixel 2: [c0 c1 c2 c3][c4 …]   ×    [f0: w4 w5 w6 w7][f1: …]…    →    │ pixel 1: f0 f1 … │
//!  …                                   …                                 │ pixel 2: …       │
//!           one word, for all filters  one row of the panel              └──────────────────┘
//! ```
//!
//! Where windows reach beyond the input, or the input is of floats, what the windows of some rows see is first copied
//! with its border around it, and rounded. Channels that do not fill a word are filled up by zeros of the kernel.

mod convolution;
mod depthwise;
mod gather;
mod product;
mod quantization;
mod reference;
#[cfg(test)]
mod tests;
mod tile;
mod weights;

pub use convolution::convolution;
pub use quantization::Quantization;
pub use reference::reference;
pub use weights::{Ending, Weights};

/// An array that is read.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// Of floats.
    F32(&'a [f32]),
    /// Of bytes, the channels of a pixel filled up to whole words.
    Bytes(&'a [u32], Quantization),
}

/// An array that is written.
#[derive(Debug)]
pub enum Target<'a> {
    /// Of floats.
    F32(&'a mut [f32]),
    /// Of bytes, the channels of a pixel filled up to whole words.
    Bytes(&'a mut [u32], Quantization),
}

/// How many words a pixel of so many bytes takes.
pub fn words_of_bytes(channels: usize) -> usize {
    channels.div_ceil(4)
}

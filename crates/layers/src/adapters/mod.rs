//! Adapters: few numbers that are trained beside the weights of a model, which stay as they are.
//!
//! ```
//! use regraft_layers::adapters::Lora;
//! use regraft_layers::{Dense, Input, LayerExt, Sequential, layers};
//!
//! let mut model = Sequential::new(layers![
//!     Input::new([64]),
//!     Dense::new(64).named("hidden"),
//!     Dense::new(3).named("head"),
//! ])?;
//! model.adapt("hidden", Lora::rank(4).modules_to_save("head"))?;
//! // 4 · (64 + 64) for the layer, and the head, which is trained as a whole.
//! assert_eq!(model.count_parameters().trainable, 512 + 195);
//! model.merge_adapter()?; // The product is in the kernel now …
//! model.unmerge_adapter()?; // … and the kernel has the bits that it had.
//! # Ok::<(), regraft_layers::Error>(())
//! ```
//!
//! | | what is added to `y = f(x, W)` | trained |
//! |---|---|---|
//! | [`Lora`] | `s · f(x, A) · B`, s = α / r ([rsLoRA](Lora::rslora): α / √r) | A, B |
//! | [`Lora::dora`] | `(m / ‖W + s·A·B‖) · (f(x, W) + s · f(x, A) · B)`, the norm per output, without gradient | A, B, m |
//! | [`Vera`] | `λ_b · (λ_d · f(x, A)) · B` with A and B of random numbers, which all layers share | λ_b, λ_d |
//! | [`Ia3`] | `l · (y + bias)`, or `f(l · x, W)` where told | l |
//!
//! `f` is the layer's own formula ([`Call::product`](crate::Call::product)), so that strides, dilation, borders
//! and groups are the layer's. Where a kernel treats each channel alone (depthwise), a LoRA has one factor for
//! each channel instead. Biases alone and normalizations alone need no adapter, but a selector:
//! `model.unfreeze(Selector::weights("bias"))`.

pub(crate) mod active;
pub(crate) mod adapt;
mod adapter;
pub(crate) mod attached;
mod entry;
pub(crate) mod formula;
mod ia3;
mod insert;
mod limits;
mod lora;
mod merge;
mod product;
mod setters;
mod state;
#[cfg(test)]
mod tests;
mod vera;

pub use adapter::Adapter;
pub use ia3::Ia3;
pub use lora::{Bias, Lora};
pub use state::{AdaptedLayer, AdapterState, Form, Role, Update};
pub use vera::Vera;

//! The arithmetic of Regraft as plain functions over slices.
//!
//! A kernel takes what it reads as `&[f32]`, what it writes as `&mut [f32]`, and sizes as numbers,
//! so that it can be called, tested and timed alone. Sizes are the caller's duty: a kernel panics
//! on slices that are too short for the sizes it was given, and returns an error only for what the
//! data say (an index out of range). [`Tensor`](crate::Tensor) has the checked conveniences.
//!
//! **The same bits everywhere.** Each kernel fixes the order in which it adds, and that order
//! depends on nothing but the sizes named in its documentation: not on the number of threads, the
//! width of the machine's vectors, or the place of a row in its batch. A frozen backbone therefore
//! gives a sample the same features alone, in any batch, and from the cache.
//!
//! **Threads.** Large work is split with rayon, small work is not (a training step of a small head
//! takes microseconds). On WebAssembly rayon runs on the one thread there is.

mod alone;
pub mod attention;
pub mod batch_normalization;
pub mod broadcast;
pub mod convolution;
pub mod elementwise;
mod fused;
pub mod gather;
pub mod isa;
pub mod largest;
pub mod layout;
pub mod linear_systems;
pub mod low_precision;
pub mod math;
pub mod matmul;
pub(crate) mod parallel;
pub mod pooling;
pub mod projective;
pub mod random;
pub mod recurrence;
pub mod reduce;
pub mod resize;
pub mod samples;
pub mod select;
pub mod softmax;
pub mod sparsemax;
mod team;
pub mod update;
pub mod window;

pub use alone::on_one_thread;
pub use team::standing_by;

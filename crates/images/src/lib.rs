#![doc = include_str!("../README.md")]

mod dataset;
mod decode;
mod error;
mod findings;
mod format;
mod gives_away;
mod groups;
mod images;
mod inspect;
mod jpeg;
mod limits;
mod loader;
mod perceptual;
mod picture;
mod resize;
mod scan;

pub use decode::decode;
pub use error::{Error, Result, shown};
pub use findings::{Finding, FindingKind, findings};
pub use format::Format;
pub use groups::{NEAR, groups};
pub use images::Images;
pub use inspect::{Brightness, Inspection};
pub use limits::Limits;
pub use loader::ordered;
pub use perceptual::perceptual_hash;
pub use picture::{Color, Picture, Source};
pub use resize::{Fit, Interpolation, Resize};
pub use scan::{Scan, Unreadable};

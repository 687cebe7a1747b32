#![doc = include_str!("../README.md")]

mod dataset;
mod decode;
mod error;
mod finding;
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
mod raw;
mod resize;
mod scan;
mod tiff;

pub use decode::decode;
pub use error::{Error, Result, shown};
pub use finding::{Finding, FindingKind};
pub use findings::findings;
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

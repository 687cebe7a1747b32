#![doc = include_str!("../README.md")]

mod answers;
mod base64;
mod classes;
mod confusion;
mod error;
mod findings;
mod gallery;
mod heat;
mod overview;
mod page;
mod picture;
mod reliability;
mod report;
mod run;
mod section;
mod text;

pub use error::{Error, Result};
pub use page::MOST_BYTES;
pub use picture::Picture;
pub use report::{
    Amount, Answer, Bin, Calibration, Cost, Estimate, Finding, Frozen, Level, Report, Sample,
    Suspect, Unknown, Wanted,
};

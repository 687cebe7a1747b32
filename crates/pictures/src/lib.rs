#![doc = include_str!("../README.md")]

mod artifacts;
mod check;
mod checked;
mod classifier;
mod config;
mod destination;
mod error;
mod extractor;
mod factorisations;
mod features;
mod findings;
mod forecast;
mod hex;
mod improve;
mod inspections;
mod kept;
mod label;
mod lines;
mod maps;
mod observer;
mod opened;
mod page;
mod pick;
mod pytorch_names;
mod run_file;
mod set;
mod solution;
mod speed;
mod spent;
mod split;
mod stamps;
mod survey;
mod text;
mod told;
mod train;

pub use check::{Checked, check};
pub use classifier::{Answer, Classifier, Evaluation};
pub use config::Config;
pub use error::{Error, Result};
pub use forecast::{Forecast, forecast};
pub use kept::cache_folder;
pub use label::{Labelling, Question, read_answers};
pub use observer::{Observer, Stage};
pub use opened::opened;
pub use pick::{Candidate, pick};
pub use run_file::{
    AnswerSetRecord, BackboneRecord, EstimateRecord, HeadRecord, Pictures, RunFile, Share,
    UnknownRecord,
};
pub use spent::{Spent, peak_memory};
pub use split::held_out;
pub use train::{Seen, Train, Trained};

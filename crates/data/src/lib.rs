#![doc = include_str!("../README.md")]

mod check;
mod combinators;
mod dataset;
mod error;
mod hasher;
mod histogram;
mod idx;
mod labels;
mod rows;
mod select;
mod split;

pub use check::{all_finite, check_finite, check_not_empty, check_same_samples};
pub use combinators::{Balanced, Cached, Map, Row, Selected, Views};
pub use dataset::{Content, Dataset, Part, RowSpec, RowType, Slice};
pub use error::{Error, Result};
pub use hasher::Hasher;
pub use histogram::Histogram;
pub use idx::{IdxArray, IdxType, parse_idx, read_idx};
pub use labels::{ClassLabel, Labels, check_labels};
pub use rows::Rows;
pub use select::select_samples;
pub use split::{
    Split, last_split, missing_classes, pick_per_class, random_split, split_by_group,
    stratified_split,
};

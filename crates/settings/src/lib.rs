#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[macro_use]
mod catalogue;
mod checks;
mod class;
mod configured;
#[macro_use]
mod declare;
mod names;
mod setting;
mod settings;

pub use catalogue::{Maker, make, make_with, read};
pub use checks::{
    Number, require, require_decay, require_finite, require_positive, require_rate, require_share,
};
pub use class::Class;
pub use configured::{Configured, FromSettings, Map, copy, place};
pub use names::{is_meant_by, near};
pub use regraft_tensor::Detail;
pub use serde_json::Value;
pub use setting::{Given, IntoSetting, Setting, brief, number, numbers};
pub use settings::Settings;

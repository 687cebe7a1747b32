//! Update rules, learning-rate schedules, clipping, moving averages and gradient accumulation.
//!
//! An [`Optimizer`] is an [`UpdateRule`] (the formula) with everything that is common to all of
//! them: a learning rate or [`Schedule`], weight decay with exclusions, three ways of clipping, a
//! moving average of the parameters, accumulation, and the slots of every parameter. Formulas,
//! names and defaults are those of Keras 3.
//!
//! ```
//! use regraft_optimizers::{Adam, IntoOptimizer, Optimizer, SGD};
//!
//! let adam = Adam::new(1e-3).clipnorm(1.0).build()?;
//! let momentum = SGD::new(0.01).momentum(0.9).nesterov(true).build()?;
//! let by_name = "rmsprop".into_optimizer()?;
//! assert_eq!(by_name.learning_rate(), 0.001);
//!
//! let error = Optimizer::from_name("adm").unwrap_err().to_string();
//! assert!(error.contains("adam"), "{error}");
//! # Ok::<(), regraft_optimizers::Error>(())
//! ```
//!
//! To follow a step through the code: [`Optimizer::prepare`] looks the parameters up once,
//! [`Optimizer::apply`] (`apply.rs`) does what is common, and [`UpdateRule::update`] (`rules/`)
//! moves the numbers.

#![forbid(unsafe_code)]

mod apply;
mod builder;
mod clip;
mod config;
pub mod elementwise;
mod error;
#[cfg(test)]
mod golden;
mod into_optimizer;
mod learning_rate;
mod names;
mod optimizer;
mod options;
mod parameter;
mod pattern;
mod piece;
mod plan;
mod rule;
pub mod rules;
pub mod schedules;
mod state;

pub use builder::{Builder, BuiltIn};
pub use error::{Error, Result};
pub use into_optimizer::IntoOptimizer;
pub use learning_rate::{LearningRate, Schedule};
pub use optimizer::Optimizer;
pub use parameter::{ParameterInfo, ParameterSource, ParameterUpdate};
pub use plan::Plan;
pub use regraft_settings::Configured;
pub use rule::{MAX_SLOTS, Slot, Step, UpdateRule};
pub use rules::{
    Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, Lamb, Lion, Muon, Nadam, RMSprop, SGD,
};
pub use state::State;

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! Conventions of Keras' files: configurations, the names of classes and layers, and what is known under
//! which name.

pub(crate) mod config;
pub(crate) mod names;
pub(crate) mod registry;

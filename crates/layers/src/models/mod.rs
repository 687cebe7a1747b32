//! Models: layers and how they are connected, the values of their weights, freezing, selection and
//! surgery.

pub(crate) mod build;
pub(crate) mod digest;
pub(crate) mod element_order;
pub(crate) mod emit;
pub(crate) mod ends;
pub(crate) mod freeze;
pub(crate) mod functional;
pub(crate) mod glob;
pub(crate) mod info;
pub(crate) mod into_selector;
pub(crate) mod masks;
pub(crate) mod model;
pub(crate) mod module_names;
pub(crate) mod penalties;
pub(crate) mod places;
pub(crate) mod replace;
pub(crate) mod revision;
pub(crate) mod scene;
pub(crate) mod selector;
pub(crate) mod sequential;
pub(crate) mod shared;
pub(crate) mod strings;
pub(crate) mod structure;
pub(crate) mod summary;
pub(crate) mod surgery;
pub(crate) mod table;
pub(crate) mod topology;
pub(crate) mod trained_weights;

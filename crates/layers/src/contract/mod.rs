//! What a layer is: the weights it declares, the formula it writes, the settings it has, and what
//! training may change.

pub(crate) mod axis;
pub(crate) mod call;
pub(crate) mod element_type;
pub(crate) mod emission;
pub(crate) mod flow;
pub(crate) mod freezing;
pub(crate) mod handle;
pub(crate) mod layer;
pub(crate) mod over_time;
pub(crate) mod weight;

//! Where formulas are written, and what flows between them.

use std::cell::RefCell;

use regraft_autograd::{Graph, Var};

use crate::contract::emission::{Emission, Mode};
use crate::contract::weight::WeightStore;

/// What flows between layers: a value of the graph, and beside it which of its steps count, if not
/// all do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'g> {
    pub var: Var<'g>,
    pub mask: Option<Var<'g>>,
    /// Whether the mask was given with the call, rather than come with the value.
    pub is_given: bool,
}

impl<'g> Value<'g> {
    /// A value all of whose steps count.
    pub fn new(var: Var<'g>) -> Self {
        Value {
            var,
            mask: None,
            is_given: false,
        }
    }

    /// What this value says when it is given as a mask: 1 where it is not 0.
    pub fn as_mask(self) -> Var<'g> {
        self.var.to_f32().not_equal(0.0)
    }
}

/// Where formulas are written, and with which weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'g, 'm> {
    pub graph: &'g Graph,
    pub mode: Mode,
    pub store: &'m WeightStore,
    pub emission: &'m RefCell<Emission<'g>>,
    /// Whether the layer that is called next adds no activity penalty.
    pub formula_alone: bool,
}

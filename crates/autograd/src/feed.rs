//! What a run reads: the values fed to its inputs, and the store of its variables.

use regraft_tensor::Tensor;

use crate::{DataType, VariableId};

/// The store that a program reads its variables from.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a store of variables",
    note = "pass a slice of tensors (`&[Tensor]`, indexed by `VariableId`) or implement `regraft_autograd::Variables`"
)]
pub trait Variables {
    /// The elements of variable `id`, if there is one.
    fn value(&self, id: VariableId) -> Option<&[f32]>;
}

impl Variables for [Tensor] {
    fn value(&self, id: VariableId) -> Option<&[f32]> {
        self.get(id.0).map(Tensor::as_slice)
    }
}

impl<const N: usize> Variables for [Tensor; N] {
    fn value(&self, id: VariableId) -> Option<&[f32]> {
        self.as_slice().value(id)
    }
}

/// Several stores, each with variables of its own: the weights of several models in one graph.
impl<V: Variables + ?Sized> Variables for [&V] {
    fn value(&self, id: VariableId) -> Option<&[f32]> {
        self.iter().find_map(|store| store.value(id))
    }
}

impl<V: Variables + ?Sized, const N: usize> Variables for [&V; N] {
    fn value(&self, id: VariableId) -> Option<&[f32]> {
        self.as_slice().value(id)
    }
}

impl Variables for Vec<Tensor> {
    fn value(&self, id: VariableId) -> Option<&[f32]> {
        self.as_slice().value(id)
    }
}

/// A value fed to a program's input.
#[derive(Clone, Copy, Debug)]
pub enum Feed<'a> {
    /// Floats in row-major order.
    F32(&'a [f32]),
    /// Integers in row-major order.
    I32(&'a [i32]),
}

impl<'a> Feed<'a> {
    pub(crate) fn words(self) -> (DataType, &'a [f32]) {
        match self {
            Feed::F32(values) => (DataType::F32, values),
            Feed::I32(values) => (DataType::I32, bytemuck::cast_slice(values)),
        }
    }
}

impl<'a> From<&'a Tensor> for Feed<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Feed::F32(tensor.as_slice())
    }
}

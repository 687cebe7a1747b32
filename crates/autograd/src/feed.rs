//! What a run reads: the values fed to its inputs, and the store of its variables.

use std::ops::Range;

use regraft_tensor::{Detail, Tensor};

use crate::{DataType, Error, Node, Result, VariableId};

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
    /// The element type.
    pub fn data_type(self) -> DataType {
        self.words().0
    }

    /// The floats, if it is floats.
    pub fn f32(self) -> Option<&'a [f32]> {
        match self {
            Feed::F32(values) => Some(values),
            Feed::I32(_) => None,
        }
    }

    /// The integers, if it is integers.
    pub fn i32(self) -> Option<&'a [i32]> {
        match self {
            Feed::F32(_) => None,
            Feed::I32(values) => Some(values),
        }
    }

    /// Some of the elements.
    pub(crate) fn slice(self, range: Range<usize>) -> Self {
        match self {
            Feed::F32(values) => Feed::F32(&values[range]),
            Feed::I32(values) => Feed::I32(&values[range]),
        }
    }

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

/// The value fed to an input at position `index`, which has `length` elements for `batch` samples.
pub(crate) fn check_input<'a>(
    node: &Node,
    index: usize,
    length: usize,
    batch: usize,
    feeds: &[Feed<'a>],
) -> Result<Feed<'a>> {
    let at = || format!("input {index} ({})", node.name);
    let Some(feed) = feeds.get(index) else {
        let fed = format!("{} inputs", feeds.len());
        return Err(Error::Feed(Detail::new(at(), "a value", fed)));
    };
    let (data_type, words) = feed.words();
    if data_type != node.data_type {
        let detail = Detail::new(at(), node.data_type, data_type);
        return Err(Error::DataType(detail));
    }
    if words.len() != length {
        let expected = format!("{length} elements for {batch} samples of {}", node.shape);
        return Err(Error::Feed(Detail::new(at(), expected, words.len())));
    }
    Ok(*feed)
}

/// The value of a variable, which has `length` elements.
pub(crate) fn check_variable<'a, V: Variables + ?Sized>(
    node: &Node,
    id: VariableId,
    length: usize,
    variables: &'a V,
) -> Result<&'a [f32]> {
    let value = variables.value(id);
    value.filter(|value| value.len() == length).ok_or_else(|| {
        let Node { name, shape, .. } = node;
        let received = match value {
            Some(value) => format!("{} elements", value.len()),
            None => "none".to_string(),
        };
        let expected = format!("{length} elements of {shape}");
        let at = format!("variable {} ({name})", id.0);
        Error::Feed(Detail::new(at, expected, received))
    })
}

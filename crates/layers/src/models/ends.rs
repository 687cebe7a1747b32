//! Outputs of layers, and what can be given as the inputs or outputs of a model.

use crate::models::topology::ValueId;

/// The output of a layer in a [`Functional`](crate::Functional).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LayerOutput {
    pub(crate) value: ValueId,
    pub(crate) builder: u64,
}

/// What can be used where the inputs or the outputs of a model are expected: outputs of layers in an order,
/// or pairs of a key and an output, `&[("mask", a), ("boxes", b)]`, which make a dictionary as in Keras.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as the inputs or outputs of a model",
    note = "pass outputs of layers, `&[x, y]`, or pairs with their keys, `&[(\"a\", x), (\"b\", y)]`"
)]
pub trait Ends {
    /// The outputs, each with its key if they have keys.
    fn ends(&self) -> Vec<(Option<String>, LayerOutput)>;
}

impl Ends for &[LayerOutput] {
    fn ends(&self) -> Vec<(Option<String>, LayerOutput)> {
        self.iter().map(|&output| (None, output)).collect()
    }
}

impl<S: AsRef<str>> Ends for &[(S, LayerOutput)] {
    fn ends(&self) -> Vec<(Option<String>, LayerOutput)> {
        let pair = |(key, output): &(S, LayerOutput)| (Some(key.as_ref().to_string()), *output);
        self.iter().map(pair).collect()
    }
}

impl<const N: usize> Ends for &[LayerOutput; N] {
    fn ends(&self) -> Vec<(Option<String>, LayerOutput)> {
        self.as_slice().ends()
    }
}

impl<S: AsRef<str>, const N: usize> Ends for &[(S, LayerOutput); N] {
    fn ends(&self) -> Vec<(Option<String>, LayerOutput)> {
        self.as_slice().ends()
    }
}

impl<T> Ends for &Vec<T>
where
    for<'a> &'a [T]: Ends,
{
    fn ends(&self) -> Vec<(Option<String>, LayerOutput)> {
        self.as_slice().ends()
    }
}

//! Strings as their numbers in a vocabulary.

use std::sync::Arc;

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;

use super::vocabulary::{Vocabulary, vocabulary_layer};
use crate::layers::support::single;
use crate::settings::{FromSettings, Map, Settings};
use crate::{Call, Class, Configured, Layer, Weights};

/// The number of each string in a vocabulary, then in one of the forms of
/// [`OutputMode`](super::OutputMode); with [`invert`](Self::invert) the string of each number.
///
/// | | |
/// |---|---|
/// | input | `(batch, n)` strings |
/// | output | the same shape with integers, or rows |
/// | weights | none; being frozen changes nothing |
/// | defaults | one number (0) for all unknown strings, no mask |
///
/// Strings never reach the data-flow graph: those that a model with
/// [`Input::strings`](crate::Input::strings) is given are looked up before it runs. With `invert`, numbers leave the
/// graph, and [`spell`](Layer::spell) has their strings.
///
/// ```
/// use regraft_layers::{Layer, layers::StringLookup};
///
/// let layer = StringLookup::new().adapt([["a", "b"], ["a", "c"], ["c", "c"]]);
/// assert_eq!(layer.tokens(), ["[UNK]", "c", "a", "b"]);
/// assert_eq!(layer.look_up("b")?, 3);
/// # Ok::<(), regraft_tensor::Detail>(())
/// ```
///
/// Keras: <https://keras.io/api/layers/preprocessing_layers/categorical/string_lookup/>.
#[derive(Clone, Debug)]
pub struct StringLookup(Vocabulary<String>);

vocabulary_layer!(StringLookup, String);

impl Configured for StringLookup {
    fn class(&self) -> Class<'_> {
        Class::new("keras.layers.StringLookup")
    }

    fn config(&self) -> Map {
        let mut config = self.0.config();
        config.insert("encoding".into(), "utf-8".into());
        config
    }
}

impl Layer for StringLookup {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        single(inputs)?;
        self.0.check()
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        match self.0.invert {
            true => inputs[0].to_f32(),
            false => self.0.encode(call, inputs[0]),
        }
    }

    fn input_type(&self) -> DataType {
        DataType::I32
    }

    fn of_strings(&self) -> Option<Arc<dyn Layer>> {
        (!self.0.invert).then(|| -> Arc<dyn Layer> { Arc::new(self.clone()) })
    }

    fn look_up(&self, text: &str) -> Result<i32, Detail> {
        self.0.number(&text.to_string())
    }

    fn spell(&self, number: i32) -> Option<String> {
        let token = || self.0.token(i64::from(number)).cloned().unwrap_or_default();
        self.0.invert.then(token)
    }
}

impl FromSettings for StringLookup {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        settings.only("encoding", "utf-8")?;
        Vocabulary::from_settings(settings).map(StringLookup)
    }
}

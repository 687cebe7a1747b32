//! Integers as their numbers in a vocabulary.

use std::sync::Arc;

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;

use super::map_integers::{IntegerMap, map_integers};
use super::vocabulary::{Vocabulary, vocabulary_layer};
use crate::layers::support::single;
use crate::settings::{FromSettings, Map, Settings};
use crate::{Call, Class, Configured, Layer, Weights};

/// The number of each integer in a vocabulary, then in one of the forms of
/// [`OutputMode`](super::OutputMode); with [`invert`](Self::invert) the integer of each number.
///
/// | | |
/// |---|---|
/// | input | `(batch, n)` integers |
/// | output | the same shape with integers, or rows |
/// | weights | none; being frozen changes nothing |
/// | defaults | one number (0) for all unknown integers, no mask |
///
/// Keras: <https://keras.io/api/layers/preprocessing_layers/categorical/integer_lookup/>.
#[derive(Clone, Debug)]
pub struct IntegerLookup(Vocabulary<i64>);

vocabulary_layer!(IntegerLookup, i64);

impl IntegerMap for IntegerLookup {
    fn map(&self, value: i32) -> Result<i32, Detail> {
        let value = i64::from(value);
        if !self.0.invert {
            return self.0.number(&value);
        }
        let token = self.0.token(value).copied().unwrap_or_default();
        let expected = "a token that fits 32 bits";
        i32::try_from(token).map_err(|_| Detail::new("", expected, token))
    }
}

impl Configured for IntegerLookup {
    fn class(&self) -> Class<'_> {
        Class::new("keras.layers.IntegerLookup")
    }

    fn config(&self) -> Map {
        let mut config = self.0.config();
        config.insert("vocabulary_dtype".into(), "int64".into());
        config
    }
}

impl Layer for IntegerLookup {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        single(inputs)?;
        self.0.check()
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let numbers = map_integers(inputs[0], Arc::new(self.clone()));
        self.0.encode(call, numbers)
    }

    fn input_type(&self) -> DataType {
        DataType::I32
    }
}

impl FromSettings for IntegerLookup {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Vocabulary::from_settings(settings).map(IntegerLookup)
    }
}

//! The entry of a model: the shape and the element type of a sample.

use regraft_autograd::{DataType, Shape, Var};
use serde_json::{Map, Value, json};

use crate::{Call, Layer};

/// The shape of a sample, without the batch: `Input::new([784])`.
///
/// It computes nothing. Keras: <https://keras.io/api/layers/core_layers/input/>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    shape: Vec<usize>,
    data_type: DataType,
}

impl Input {
    /// Samples of floats, of this shape.
    pub fn new(shape: impl AsRef<[usize]>) -> Self {
        Input {
            shape: shape.as_ref().to_vec(),
            data_type: DataType::F32,
        }
    }

    /// Samples of integers (token ids), of this shape.
    pub fn integers(shape: impl AsRef<[usize]>) -> Self {
        Input {
            shape: shape.as_ref().to_vec(),
            data_type: DataType::I32,
        }
    }

    /// The shape of a batch of samples.
    pub fn batch_shape(&self) -> Shape {
        Shape::batch_of(&self.shape)
    }

    /// The element type.
    pub fn data_type(&self) -> DataType {
        self.data_type
    }
}

impl Layer for Input {
    fn class_name(&self) -> &str {
        "InputLayer"
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        inputs[0]
    }

    fn input_type(&self) -> DataType {
        self.data_type
    }

    fn config(&self) -> Map<String, Value> {
        let batch_shape: Vec<Value> = std::iter::once(Value::Null)
            .chain(self.shape.iter().map(|&size| json!(size)))
            .collect();
        let mut config = Map::new();
        config.insert("batch_shape".into(), batch_shape.into());
        config.insert("dtype".into(), self.data_type.to_string().into());
        config.insert("sparse".into(), false.into());
        config
    }
}

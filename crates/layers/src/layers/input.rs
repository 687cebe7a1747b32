//! The entry of a model: the shape and the element type of a sample.

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::support::as_size;
use crate::settings::{FromSettings, Settings};
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

    /// The same with integers.
    pub(crate) fn to_integers(&self) -> Self {
        Self::integers(&self.shape)
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

    fn has_trainable_setting(&self) -> bool {
        false
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

impl FromSettings for Input {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        settings.unsupported(&["sparse", "ragged", "optional", "type_spec", "input_tensor"])?;
        // Keras 2 says `batch_input_shape`; its batch may be of a fixed size, which here is free.
        let shape = settings.sample_shape("batch_input_shape")?;
        let shape = settings.sample_shape("batch_shape")?.or(shape);
        let Some(shape) = shape else {
            return Err(Detail::new("batch_shape", "the shape of a batch", "none"));
        };
        match settings.text("dtype", "float32")? {
            "int32" | "int64" | "uint8" | "int16" | "int8" => Ok(Input::integers(shape)),
            "float32" | "float16" | "bfloat16" | "float64" => Ok(Input::new(shape)),
            other => {
                let expected = "a type of floats or integers";
                Err(Detail::new("dtype", expected, format!("{other:?}")))
            }
        }
    }
}

impl Settings<'_> {
    /// The shape of a sample in a list that has the batch first.
    fn sample_shape(&self, key: &'static str) -> Result<Option<Vec<usize>>, Detail> {
        self.value(key)
            .map(|value| sample_shape(key, value))
            .transpose()
    }
}

/// The shape of a sample in a list that has the batch first: `[null, 28, 28]`.
pub(crate) fn sample_shape(key: &str, value: &Value) -> Result<Vec<usize>, Detail> {
    let sample = value.as_array().and_then(|sizes| sizes.get(1..));
    let sizes = sample.map(|sizes| sizes.iter().map(as_size).collect::<Option<Vec<usize>>>());
    sizes.flatten().ok_or_else(|| {
        Detail::new(
            key,
            "a list of the batch and fixed sizes, [null, 784]",
            value,
        )
        .help("sizes that differ from sample to sample are not supported")
    })
}

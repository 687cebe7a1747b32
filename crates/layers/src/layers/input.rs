//! The entry of a model: the shape and the element type of a sample.

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Value, json};

use super::support::as_size;
use crate::settings::{FromSettings, Map, Settings};
use crate::{Call, Class, Configured, ElementType, Layer, near};

/// The shape of a sample, without the batch: `Input::new([784])`.
///
/// It computes nothing. Keras: <https://keras.io/api/layers/core_layers/input/>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    shape: Vec<usize>,
    element_type: ElementType,
    strings: bool,
}

impl Input {
    /// Samples of floats, of this shape.
    pub fn new(shape: impl AsRef<[usize]>) -> Self {
        Input {
            shape: shape.as_ref().to_vec(),
            element_type: ElementType::Float32,
            strings: false,
        }
    }

    /// Samples of integers (token ids), of this shape.
    pub fn integers(shape: impl AsRef<[usize]>) -> Self {
        Input {
            shape: shape.as_ref().to_vec(),
            element_type: ElementType::Int32,
            strings: false,
        }
    }

    /// Samples of strings, of this shape. They go into one layer that takes strings
    /// ([`StringLookup`](crate::layers::StringLookup), [`Hashing`](crate::layers::Hashing)), by which they are
    /// looked up before the model runs.
    pub fn strings(shape: impl AsRef<[usize]>) -> Self {
        Input {
            strings: true,
            ..Self::integers(shape)
        }
    }

    /// Whether the samples are strings.
    pub fn is_strings(&self) -> bool {
        self.strings
    }

    /// The same with elements of another type, as Keras' `dtype`: images of `Uint8`, say. Data of
    /// other types are converted to it.
    #[must_use]
    pub fn of_type(mut self, element_type: ElementType) -> Self {
        self.element_type = element_type;
        self
    }

    /// The shape of a batch of samples.
    pub fn batch_shape(&self) -> Shape {
        Shape::batch_of(&self.shape)
    }

    /// The element type.
    pub fn element_type(&self) -> ElementType {
        self.element_type
    }
}

impl Configured for Input {
    fn class(&self) -> Class<'_> {
        Class::new("keras.layers.InputLayer").without("trainable")
    }

    fn config(&self) -> Map {
        let batch_shape: Vec<Value> = std::iter::once(Value::Null)
            .chain(self.shape.iter().map(|&size| json!(size)))
            .collect();
        let mut config = Map::new();
        config.insert("batch_shape".into(), batch_shape.into());
        let dtype = match self.strings {
            true => "string",
            false => self.element_type.name(),
        };
        config.insert("dtype".into(), dtype.into());
        config.insert("sparse".into(), false.into());
        config
    }
}

impl Layer for Input {
    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        inputs[0]
    }

    fn input_type(&self) -> DataType {
        self.element_type.data_type()
    }
}

impl FromSettings for Input {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        settings.unsupported(&["sparse", "ragged", "optional", "type_spec", "input_tensor"])?;
        // Keras 2 says `batch_input_shape`; its batch may be of a fixed size, which here is free.
        let given = |key| {
            let value = settings.value(key);
            value.map(|value| sample_shape(key, value)).transpose()
        };
        let shape = given("batch_input_shape")?;
        let shape = given("batch_shape")?.or(shape);
        let Some(shape) = shape else {
            return Err(Detail::new("batch_shape", "the shape of a batch", "none"));
        };
        let dtype = settings.text("dtype", "float32")?;
        match ElementType::from_name(dtype) {
            None if dtype == "string" => Ok(Input::strings(shape)),
            Some(element_type) => Ok(Input::new(shape).of_type(element_type)),
            None => {
                let expected = "a type of floats, integers or truth values";
                let detail = Detail::new("dtype", expected, format!("{dtype:?}"));
                Err(detail.help(near(dtype, ElementType::names())))
            }
        }
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
        .help(
            "sizes that differ from sample to sample are given on opening: \
             `Model::open_sized(path, [224, 224, 3], &registry)`",
        )
    })
}

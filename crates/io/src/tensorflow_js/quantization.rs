//! Weights that a TensorFlow.js converter has quantized: `w = q · scale + min`, or half precision.

use half::f16;
use serde::Deserialize;

use crate::{DataType, Error, Result, TensorData};

/// How a weight's numbers are stored.
#[derive(Deserialize)]
pub(super) struct Quantization {
    dtype: String,
    #[serde(default)]
    scale: Option<f64>,
    #[serde(default)]
    min: Option<f64>,
}

impl Quantization {
    /// The type of the stored numbers.
    pub(super) fn stored(&self, name: &str) -> Result<DataType> {
        match self.dtype.as_str() {
            "uint8" => Ok(DataType::U8),
            "uint16" => Ok(DataType::U16),
            "float16" => Ok(DataType::F16),
            other => Err(Error::unsupported(
                name,
                "a weight quantized to uint8, uint16 or float16",
                other,
            )),
        }
    }

    /// The weight of type `to` (float32 or int32) from its `stored` numbers. Computed in double
    /// precision, as TensorFlow.js does, and rounded at the end.
    pub(super) fn restore(
        &self,
        name: &str,
        stored: &TensorData,
        to: DataType,
    ) -> Result<TensorData> {
        let bytes = stored.bytes();
        if stored.data_type() == DataType::F16 {
            if to != DataType::F32 {
                let error = Error::unsupported(name, "float32 from float16", to);
                return Err(error);
            }
            return floats(
                stored,
                pairs(bytes).map(|bits| f16::from_bits(bits).to_f32()),
            );
        }
        let (Some(scale), Some(min)) = (self.scale, self.min) else {
            return Err(Error::missing(
                name,
                "scale and min of the quantization",
                "not both",
            ));
        };
        if !scale.is_finite() || !min.is_finite() {
            let received = format!("{scale} and {min}");
            return Err(Error::format(name, "finite scale and min", received));
        }
        let value = |q: u16| f64::from(q) * scale + min;
        let values: Box<dyn Iterator<Item = f64>> = match stored.data_type() {
            DataType::U8 => Box::new(bytes.iter().map(|&q| value(q.into()))),
            _ => Box::new(pairs(bytes).map(value)),
        };
        match to {
            DataType::I32 => {
                let bytes = values.flat_map(|value| ((value + 0.5).floor() as i32).to_le_bytes());
                TensorData::new(to, stored.shape(), bytes.collect())
            }
            _ => floats(stored, values.map(|value| value as f32)),
        }
    }
}

fn pairs(bytes: &[u8]) -> impl Iterator<Item = u16> {
    let pairs = bytes.chunks_exact(2);
    pairs.map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
}

fn floats(stored: &TensorData, values: impl Iterator<Item = f32>) -> Result<TensorData> {
    let mut bytes = Vec::with_capacity(stored.len() * 4);
    bytes.extend(values.flat_map(f32::to_le_bytes));
    TensorData::new(DataType::F32, stored.shape(), bytes)
}

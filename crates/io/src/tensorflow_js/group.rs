//! A group of weights of a TensorFlow.js model: they lie one after the other in the group's shards,
//! and may begin in one and end in the next.

use serde::Deserialize;

use super::quantization::Quantization;
use crate::input::Input;
use crate::naming::is_plain_name;
use crate::tensor_data::byte_length;
use crate::{DataType, Error, Result, TensorData};

/// An entry of `weightsManifest`.
#[derive(Deserialize)]
pub(super) struct Group {
    pub(super) paths: Vec<String>,
    pub(super) weights: Vec<WeightSpec>,
}

#[derive(Deserialize)]
pub(super) struct WeightSpec {
    pub(super) name: String,
    shape: Vec<u64>,
    dtype: String,
    #[serde(default)]
    quantization: Option<Quantization>,
}

/// What is in the shards for one weight.
struct Plan {
    /// The weight's type.
    to: DataType,
    /// The type of the numbers in the shards.
    stored: DataType,
    shape: Vec<usize>,
    offset: u64,
}

impl Group {
    /// Reads the group's weights in their order.
    pub(super) fn read(
        &self,
        open: &mut impl FnMut(&str) -> Result<Input>,
    ) -> Result<Vec<TensorData>> {
        // Shard and where it begins in the group.
        let mut shards: Vec<(&str, Input, u64)> = Vec::new();
        let mut length = 0u64;
        for path in &self.paths {
            if !is_plain_name(path) {
                let expected = "the name of a file in the same folder";
                return Err(Error::format("weightsManifest", expected, path));
            }
            let input = open(path)?;
            let start = length;
            length = length.saturating_add(input.length());
            shards.push((path, input, start));
        }
        let plans = self.plan(length)?;
        let mut tensors = Vec::with_capacity(plans.len());
        for (spec, plan) in self.weights.iter().zip(plans) {
            let stored = TensorData::read_with(plan.stored, plan.shape, |buffer| {
                read_across(&shards, plan.offset, buffer)
            })
            .map_err(|error| error.in_file(&spec.name))?;
            tensors.push(match &spec.quantization {
                Some(quantization) => quantization.restore(&spec.name, &stored, plan.to)?,
                None => stored,
            });
        }
        Ok(tensors)
    }

    /// Where each weight is, once it is sure that the weights take the shards' `length` exactly.
    fn plan(&self, length: u64) -> Result<Vec<Plan>> {
        let shards = self.paths.join(", ");
        let mut plans = Vec::with_capacity(self.weights.len());
        let mut end = 0u64;
        for spec in &self.weights {
            let name = &spec.name;
            let to = match (spec.dtype.as_str(), &spec.quantization) {
                ("float32", _) => DataType::F32,
                ("int32", _) => DataType::I32,
                ("bool", None) => DataType::Bool,
                (other, None) => {
                    let expected = "a weight of type float32, int32 or bool";
                    return Err(Error::unsupported(name, expected, other));
                }
                (other, Some(_)) => {
                    let expected = "a quantized weight of type float32 or int32";
                    return Err(Error::unsupported(name, expected, other));
                }
            };
            let stored = match &spec.quantization {
                Some(quantization) => quantization.stored(name)?,
                None => to,
            };
            let shape: Option<Vec<usize>> = spec
                .shape
                .iter()
                .map(|&axis| usize::try_from(axis).ok())
                .collect();
            let sized = shape.and_then(|shape| {
                // The weight itself must have room too, which is up to four times as large.
                byte_length(to, &shape)?;
                Some((byte_length(stored, &shape)?, shape))
            });
            let offset = end;
            let fits = sized.and_then(|(size, shape)| {
                end = end.checked_add(size as u64).filter(|&end| end <= length)?;
                Some(shape)
            });
            let Some(shape) = fits else {
                return Err(Error::format(
                    format!("{shards}: {name}"),
                    format!("shape {:?} of {stored} from byte {offset} on", spec.shape),
                    format!("{length} bytes in all"),
                )
                .help("a shard is truncated, or of another model"));
            };
            plans.push(Plan {
                to,
                stored,
                shape,
                offset,
            });
        }
        if end != length {
            let error = Error::format(
                shards,
                format!("the {end} bytes that the weights take"),
                format!("{length} bytes"),
            );
            return Err(error.help("a shard is of another model"));
        }
        Ok(plans)
    }
}

/// Fills `buffer` from `offset` of the group on, which has the bytes.
fn read_across(shards: &[(&str, Input, u64)], offset: u64, buffer: &mut [u8]) -> Result<()> {
    let mut at = offset;
    let mut rest = buffer;
    let first = shards.partition_point(|(_, input, start)| start + input.length() <= offset);
    for (name, input, start) in &shards[first..] {
        if rest.is_empty() {
            break;
        }
        let within = at - start;
        let available = usize::try_from(input.length() - within).unwrap_or(usize::MAX);
        let (part, left) = rest.split_at_mut(available.min(rest.len()));
        input
            .read_at(within, part)
            .map_err(|error| Error::io(std::path::Path::new(name), "a readable shard", &error))?;
        at += part.len() as u64;
        rest = left;
    }
    Ok(())
}

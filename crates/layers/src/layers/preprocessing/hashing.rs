//! Strings or integers put into bins by a hash.

use std::sync::Arc;

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Value, json};

use super::encoding::OutputMode;
use super::fingerprint::fingerprint;
use super::map_integers::{IntegerMap, map_integers};
use super::sip_hash::sip_hash;
use crate::layers::object;
use crate::layers::support::single;
use crate::settings::{FromSettings, Map, Settings, require};
use crate::{Call, Class, Configured, Layer, Weights};

/// The bin of each string (of integers: of its decimal digits): FarmHash's fingerprint, or with a salt SipHash,
/// modulo the number of bins, as in TensorFlow; then in one of the forms of [`OutputMode`].
///
/// | | |
/// |---|---|
/// | input | `(batch, n)` strings or integers |
/// | output | the same shape with integers, or rows of zeros and ones |
/// | weights | none; being frozen changes nothing |
/// | defaults | `int`, no salt, nothing masked |
///
/// A string model takes [`Input::strings`](crate::Input::strings). Keras:
/// <https://keras.io/api/layers/preprocessing_layers/categorical/hashing/>.
#[derive(Clone, Debug)]
pub struct Hashing {
    num_bins: usize,
    mask_value: Option<String>,
    /// Whether Keras' mask is a number.
    mask_is_number: bool,
    salt: Option<[u64; 2]>,
    output_mode: OutputMode,
    /// Whether the input holds the bins of strings already.
    of_strings: bool,
}

impl Hashing {
    /// A layer of this many bins.
    pub fn new(num_bins: usize) -> Self {
        Hashing {
            num_bins,
            mask_value: None,
            mask_is_number: false,
            salt: None,
            output_mode: OutputMode::Int,
            of_strings: false,
        }
    }

    /// A string that has bin 0 for itself.
    #[must_use]
    pub fn mask_value(mut self, value: impl Into<String>) -> Self {
        self.mask_value = Some(value.into());
        self
    }

    /// Keys of SipHash, which then takes the place of FarmHash.
    #[must_use]
    pub fn salt(mut self, first: u64, second: u64) -> Self {
        self.salt = Some([first, second]);
        self
    }

    /// `"int"` unless told otherwise, `"one_hot"`, `"multi_hot"` or `"count"`.
    #[must_use]
    pub fn output_mode(mut self, mode: impl Into<OutputMode>) -> Self {
        self.output_mode = mode.into();
        self
    }

    fn bin(&self, text: &str) -> i32 {
        let masks = self.mask_value.is_some() && self.num_bins > 1;
        if masks && self.mask_value.as_deref() == Some(text) {
            return 0;
        }
        let bins = self.num_bins as u64 - u64::from(masks);
        (bin(text, self.salt, bins) + u64::from(masks)) as i32
    }
}

/// Which of `bins` a string is put into.
pub(super) fn bin(text: &str, salt: Option<[u64; 2]>, bins: u64) -> u64 {
    let hash = match salt {
        Some(key) => sip_hash(key, text.as_bytes()),
        None => fingerprint(text.as_bytes()),
    };
    hash % bins
}

impl IntegerMap for Hashing {
    fn map(&self, value: i32) -> Result<i32, Detail> {
        Ok(self.bin(&value.to_string()))
    }
}

impl Configured for Hashing {
    fn class(&self) -> Class<'_> {
        Class::new("keras.layers.Hashing")
    }

    fn config(&self) -> Map {
        let mask = self
            .mask_value
            .as_ref()
            .map(|mask| match mask.parse::<i64>() {
                Ok(number) if self.mask_is_number => number.into(),
                _ => Value::from(mask.as_str()),
            });
        let data_type = match self.output_mode {
            OutputMode::Int => "int64",
            _ => "float32",
        };
        object(json!({
            "num_bins": self.num_bins,
            "salt": self.salt,
            "mask_value": mask,
            "output_mode": self.output_mode.name(),
            "sparse": false,
            "dtype": {
                "module": "keras",
                "class_name": "DTypePolicy",
                "config": { "name": data_type },
                "registered_name": null,
            },
        }))
    }
}

impl Layer for Hashing {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        single(inputs)?;
        let fits = (1..=i32::MAX as usize).contains(&self.num_bins);
        require(fits, "num_bins", "from 1 to 2147483647", self.num_bins)?;
        self.output_mode.check(&[
            OutputMode::Int,
            OutputMode::OneHot,
            OutputMode::MultiHot,
            OutputMode::Count,
        ])
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let bins = match self.of_strings {
            true => inputs[0],
            false => map_integers(inputs[0], Arc::new(self.clone())),
        };
        self.output_mode.encode(bins, self.num_bins)
    }

    fn input_type(&self) -> DataType {
        DataType::I32
    }

    fn of_strings(&self) -> Option<Arc<dyn Layer>> {
        Some(Arc::new(Hashing {
            of_strings: true,
            ..self.clone()
        }))
    }

    fn look_up(&self, text: &str) -> Result<i32, Detail> {
        Ok(self.bin(text))
    }
}

/// The keys of a salted hash: one number for both, or two.
pub(super) fn salt(settings: &Settings<'_>) -> Result<Option<[u64; 2]>, Detail> {
    let Some(value) = settings.value("salt") else {
        return Ok(None);
    };
    // Negative numbers are taken for the unsigned ones with their bits.
    let key = |value: &Value| value.as_u64().or(value.as_i64().map(|key| key as u64));
    let keys = match value.as_array().map(Vec::as_slice) {
        Some([first, second]) => key(first).zip(key(second)),
        Some(_) => None,
        None => key(value).map(|key| (key, key)),
    };
    let keys = keys.ok_or_else(|| settings.wrong("salt", "a whole number, or two", value))?;
    Ok(Some([keys.0, keys.1]))
}

impl FromSettings for Hashing {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        settings.unsupported(&["sparse"])?;
        let mask = settings.value("mask_value");
        let mask_value = match mask {
            None => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => match number.as_i64() {
                Some(number) => Some(number.to_string()),
                None => {
                    let expected = "a string or a whole number";
                    return Err(settings.wrong(
                        "mask_value",
                        expected,
                        mask.unwrap_or(&Value::Null),
                    ));
                }
            },
            Some(other) => {
                return Err(settings.wrong("mask_value", "a string or a whole number", other));
            }
        };
        Ok(Hashing {
            num_bins: settings.required::<usize>("num_bins")?,
            mask_is_number: mask.is_some_and(Value::is_number),
            mask_value,
            salt: salt(settings)?,
            output_mode: settings.or("output_mode", OutputMode::Int)?,
            of_strings: false,
        })
    }
}

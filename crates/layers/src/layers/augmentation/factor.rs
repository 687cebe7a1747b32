//! How strong a change is at least and at most.

use regraft_tensor::Detail;
use serde_json::{Value, json};

use crate::settings::{Given, Setting, also, number};

/// From where to where a strength is drawn, for each image anew: both ends, `(0.1, 0.3)`, or one number
/// `f` for `(−f, f)`, or `(0, f)` where strengths are not negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Factor {
    /// At most so strong, in both directions if there are two.
    Within(f32),
    /// From the smaller to the larger of the two.
    Between(f32, f32),
}

impl From<f32> for Factor {
    fn from(most: f32) -> Self {
        Factor::Within(most)
    }
}

impl From<(f32, f32)> for Factor {
    fn from((one, other): (f32, f32)) -> Self {
        Factor::Between(one, other)
    }
}

impl From<[f32; 2]> for Factor {
    fn from([one, other]: [f32; 2]) -> Self {
        Factor::Between(one, other)
    }
}

impl Factor {
    /// The smaller and the larger end, if no strength is below `least`.
    pub(crate) fn range(self, least: f32) -> (f32, f32) {
        match self {
            Factor::Within(most) => ((-most.abs()).max(least), most.abs()),
            Factor::Between(one, other) => (one.min(other), one.max(other)),
        }
    }

    /// An error unless all numbers given are from `least` to `most`.
    pub(crate) fn check(self, at: &str, least: f32, most: f32) -> Result<(), Detail> {
        let allowed = |value: f32| (least..=most).contains(&value);
        let fits = match self {
            Factor::Within(most) => allowed(most),
            Factor::Between(one, other) => allowed(one) && allowed(other),
        };
        let expected = format!("a number or two, from {least} to {most}");
        match fits {
            true => Ok(()),
            false => Err(Detail::new(at, expected, self.write())),
        }
    }
}

/// A range as Keras writes most of them.
pub(crate) fn pair((low, high): (f32, f32)) -> Value {
    json!([number(low), number(high)])
}

impl Setting for Factor {
    fn read(given: Given<'_>) -> Result<Self, Detail> {
        let number = |value: &Value| value.as_f64().map(|value| value as f32);
        let factor = match given.value.as_array().map(Vec::as_slice) {
            None => number(given.value).map(Factor::Within),
            Some([one, other]) => match (number(one), number(other)) {
                (Some(one), Some(other)) => Some(Factor::Between(one, other)),
                _ => None,
            },
            Some(_) => None,
        };
        factor.ok_or_else(|| given.wrong("a number, or two"))
    }

    fn write(&self) -> Value {
        match *self {
            Factor::Within(most) => number(most),
            Factor::Between(one, other) => json!([number(one), number(other)]),
        }
    }
}

also! {
    [] f32 => Factor: Factor::from;
    [] (f32, f32) => Factor: Factor::from;
    [] [f32; 2] => Factor: Factor::from;
}

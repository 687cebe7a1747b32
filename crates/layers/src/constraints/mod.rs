//! Keras' constraints, one file each: what holds for a weight after each update.

mod norm;

use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::Constraint;
use crate::settings::{self, catalogue};

catalogue! {
    Constraint, Constraint::make:
    max_norm: MaxNorm ["max_norm"];
    min_max_norm: MinMaxNorm ["min_max_norm"];
    non_neg: NonNeg ["non_neg"];
    unit_norm: UnitNorm ["unit_norm"];
}

/// The constraint that Keras calls `name` (`NonNeg` or `non_neg`), with these settings.
///
/// # Errors
/// A name that is not known (the nearest are listed) or a setting that has no meaning.
pub fn from_config(name: &str, config: &Map<String, Value>) -> Result<Constraint, Detail> {
    settings::make("constraint", TABLE, name, config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConstraintFunction, golden};
    use regraft_tensor::Tensor;
    use serde_json::json;

    #[test]
    fn weights_are_constrained_as_in_keras() {
        let cases = golden::cases("constraints");
        assert_eq!(cases.len(), 9);
        for case in cases {
            let (class, config) = golden::class_and_config(&case);
            let made = from_config(class, config).unwrap();
            let serialized = made.serialize();
            assert_eq!(serialized["class_name"], class);
            let again = Constraint::deserialize(&serialized).unwrap();
            let mut weight = golden::tensor(&case["inputs"]["x"]);
            again.get().unwrap().constrain(&mut weight).unwrap();
            let expected = golden::tensor(&case["outputs"]["y"]);
            assert_eq!(weight.shape(), expected.shape());
            let (received, expected) = (weight.as_slice(), expected.as_slice());
            golden::assert_close(golden::name(&case), received, expected, 1e-6, 1e-3);
        }
    }

    #[test]
    fn configurations_come_back() {
        for (names, _) in TABLE {
            let made = from_config(names[0], &Map::new()).unwrap();
            let again = Constraint::deserialize(&made.serialize()).unwrap();
            assert_eq!(again.serialize(), made.serialize());
            assert_eq!(format!("{again:?}"), format!("{made:?}"));
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for (name, config) in [
            ("max_norm", json!({"max_value": -1.0})),
            ("max_norm", json!({"axis": "rows"})),
            ("MinMaxNorm", json!({"min_value": 2.0})),
            ("MinMaxNorm", json!({"rate": 1.5})),
            ("unit_norm", json!({"value": 2.0})),
            ("unitnorms", json!({})),
        ] {
            assert!(from_config(name, config.as_object().unwrap()).is_err());
        }
        let mut weight = Tensor::full([2, 2], 3.0);
        let before = weight.clone();
        let axis = vec![2];
        let error = UnitNorm { axis }.constrain(&mut weight).unwrap_err();
        assert!(error.to_string().starts_with("UnitNorm/axis"), "{error}");
        assert_eq!(weight, before);
    }
}

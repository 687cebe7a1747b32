//! Keras' regularizers, one file each: penalties on weights, added to the loss while they are
//! trained.

mod l2_sp;
pub use orthogonal::OrthogonalMode;

pub use l2_sp::L2SP;

use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::Regularizer;
use crate::settings::{self, catalogue};

catalogue! {
    Regularizer, Regularizer::make:
    l1: L1 ["l1"];
    l1_l2: L1L2 ["l1_l2", "l1l2"];
    l2: L2 ["l2"];
    orthogonal: OrthogonalRegularizer ["orthogonal_regularizer"];
}

/// The regularizer that Keras calls `name` (`L2` or `l2`), with these settings.
///
/// # Errors
/// A name that is not known (the nearest are listed) or a setting that has no meaning.
pub fn from_config(name: &str, config: &Map<String, Value>) -> Result<Regularizer, Detail> {
    settings::make("regularizer", TABLE, name, config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RegularizerFunction, golden};
    use regraft_autograd::{Feed, Graph, Program, Run, Tensor, VariableId, gradcheck};
    use serde_json::json;

    #[test]
    fn penalties_and_gradients_are_those_of_keras() {
        let cases = golden::cases("regularizers");
        assert_eq!(cases.len(), 8);
        for case in cases {
            let name = golden::name(&case);
            let (class, config) = golden::class_and_config(&case);
            let made = from_config(class, config).unwrap();
            assert_eq!(made.serialize()["class_name"], class);
            let made = Regularizer::deserialize(&made.serialize()).unwrap();

            let x = golden::tensor(&case["inputs"]["x"]);
            let graph = Graph::new();
            let weight = graph.variable(VariableId(0), "weight", x.shape());
            let penalty = made.get().unwrap().penalty(weight);
            let gradient = graph.grad(penalty, &[weight]).unwrap()[0];
            let mut program = Program::compile(&graph, &[penalty, gradient])
                .unwrap()
                .workspace();
            let no_feeds: &[Feed<'_>] = &[];
            program.run(1, no_feeds, &[x], Run::default()).unwrap();
            let expected = [golden::number(&case["outputs"]["value"])];
            golden::assert_close(name, program.output(0), &expected, 1e-6, 1e-3);
            let expected = golden::tensor(&case["outputs"]["gradient"]);
            // The cosines of the orthogonal one nearly cancel, so its gradient is as exact as its
            // largest parts.
            let (received, expected) = (program.output(1), expected.as_slice());
            golden::assert_close(name, received, expected, 1e-6, 1e-3);
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let weight = [
            0.3, -0.5, 1.2, 0.8, -0.9, 0.4, 0.7, -1.1, 0.6, -0.2, 0.9, 1.4,
        ];
        let weight = Tensor::new([4, 3], weight.to_vec()).unwrap();
        let none = Map::new();
        let settings = json!({"l1": 0.5, "l2": 2.0});
        let columns = json!({"factor": 3.0, "mode": "columns"});
        for (name, config) in [
            ("l1", &none),
            ("l2", &none),
            ("l1_l2", settings.as_object().unwrap()),
            ("orthogonal_regularizer", columns.as_object().unwrap()),
        ] {
            let made = from_config(name, config).unwrap();
            // A large factor, since the check has an absolute floor.
            gradcheck(
                |_, x| made.get().unwrap().penalty(x[0]) * 100.0,
                std::slice::from_ref(&weight),
            )
            .unwrap();
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for (name, config) in [
            ("l1", json!({"l1": -0.1})),
            ("l2", json!({"l2": f64::MAX})),
            ("L1L2", json!({"l1": "x"})),
            ("orthogonal_regularizer", json!({"mode": "diagonals"})),
            ("l2", json!({"l1": 0.1})),
            ("l3", json!({})),
        ] {
            let error = from_config(name, config.as_object().unwrap());
            assert!(error.is_err(), "{name} {config}");
        }
        let wrong: Regularizer = L2 { l2: -1.0 }.into();
        assert!(wrong.get().is_err());
        let graph = Graph::new();
        let vector = graph.variable(VariableId(0), "bias", [3]);
        OrthogonalRegularizer::default().penalty(vector);
        assert!(graph.check().is_err());
    }
}

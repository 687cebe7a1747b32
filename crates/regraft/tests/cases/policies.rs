//! Policies of element types: computed in float32, named, and kept.

use regraft::ndarray::ArrayD;
use regraft::{Model, OptimizerState};
use regraft_io::{Checkpoint, TensorData};
use serde_json::Value;

use crate::common::{assert_close, case, npy};

const MIXED: &str = "mixed-precision/mixed_float16.keras";

#[test]
fn a_policy_is_named_and_saved_again_as_it_came() {
    let (model, report) = Model::open(case(MIXED)).unwrap();
    // Three layers of four; the last activation is float32.
    assert_eq!(model.policies(), [("mixed_float16".to_string(), 3)]);
    assert!(report.to_string().contains("mixed_float16"), "{report}");
    assert!(model.summary().to_string().contains("mixed_float16"));
    let folder = tempfile::tempdir().unwrap();
    for name in ["again.keras", "again.h5"] {
        let path = folder.path().join(name);
        model.save(&path).unwrap();
        let (again, _report) = Model::open(&path).unwrap();
        assert_eq!(again.policies(), model.policies(), "{name}");
    }
}

#[test]
fn it_computes_what_keras_does_within_16_bits() {
    let (x, y): (ArrayD<f32>, ArrayD<f32>) = (
        npy("mixed-precision/x.npy"),
        npy("mixed-precision/mixed_float16.y.npy"),
    );
    let (model, _report) = Model::open(case(MIXED)).unwrap();
    // 11 bits of mantissa, through three layers.
    assert_close(model.predict(&x).unwrap().as_slice(), &y, 4.0 / 2048.0);
}

#[test]
fn the_moments_within_a_loss_scaling_are_restored() {
    let (mut model, report) = Model::open(case(MIXED)).unwrap();
    let OptimizerState::Restored { steps } = report.optimizer else {
        panic!("{report}");
    };
    assert!(steps > 0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again.weights.h5");
    model.save_weights(&path).unwrap();
    let report = model.load_weights(&path).unwrap();
    assert_eq!(report.optimizer, OptimizerState::Restored { steps });
}

/// The optimizer's settings in a file, without its name, and the memory of a loss scaling around it.
fn scaling(checkpoint: &Checkpoint) -> (Value, Vec<&TensorData>) {
    let config = checkpoint.compile_config.as_ref().unwrap();
    let optimizer = match &config["optimizer"] {
        Value::Null => &config["optimizer_config"],
        optimizer => optimizer,
    };
    let memory = checkpoint.optimizer.as_ref().unwrap().loss_scale.iter();
    (
        optimizer["config"].clone(),
        memory.map(|weight| &weight.tensor).collect(),
    )
}

#[test]
fn a_loss_scaling_is_written_again_as_it_came() {
    let folder = tempfile::tempdir().unwrap();
    for (name, steps) in [
        ("scaled.keras", 12),
        ("scaled.h5", 12),
        ("scaled-k2.keras", 12),
        ("scaled-k2.h5", 12),
        ("mixed_float16.keras", 1),
    ] {
        let path = case(&format!("mixed-precision/{name}"));
        let first = regraft_io::read(&path).unwrap();
        let (settings, memory) = scaling(&first);
        for ending in ["keras", "h5"] {
            let (model, report) = Model::open(&path).unwrap();
            assert_eq!(
                report.optimizer,
                OptimizerState::Restored { steps },
                "{name}: {report}"
            );
            assert!(report.unknown.is_empty(), "{name}: {report}");
            let again = folder.path().join(format!("again.{ending}"));
            model.save(&again).unwrap();
            let saved = regraft_io::read(&again).unwrap();
            let (settings_again, memory_again) = scaling(&saved);
            // Keras names the one that it puts there by itself in legacy files only.
            let by_policy = name == "mixed_float16.keras";
            if !by_policy {
                for key in ["initial_scale", "dynamic_growth_steps"] {
                    assert_eq!(
                        settings_again[key], settings[key],
                        "{name} as {ending}: {key}"
                    );
                }
            }
            let is_named = !settings_again["inner_optimizer"].is_null();
            assert_eq!(is_named, !by_policy || ending == "h5", "{name} as {ending}");
            match memory.is_empty() {
                // Keras 2 keeps it elsewhere, so that it starts anew.
                true => assert_eq!(memory_again[3].to_tensor().unwrap().as_slice(), [1024.0]),
                false => assert_eq!(memory_again, memory, "{name} as {ending}"),
            }
            let (_, report) = Model::open(&again).unwrap();
            assert_eq!(
                report.optimizer,
                OptimizerState::Restored { steps },
                "{name}: {report}"
            );
        }
    }
}

#[test]
fn another_optimizer_has_no_loss_scaling() {
    let (mut model, _) = Model::open(case("mixed-precision/scaled.keras")).unwrap();
    model.set_optimizer("sgd").unwrap();
    let saved = model.checkpoint(regraft_io::Format::LegacyModel).unwrap();
    assert!(scaling(&saved).1.is_empty());
}

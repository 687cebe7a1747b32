//! Models without weights, and files of models that were not compiled.

use regraft::Model;

use crate::common::case;

#[test]
fn a_model_without_weights_opens_saves_and_opens_again() {
    let (model, report) = Model::open(case("no-weights/center.keras")).unwrap();
    assert!(report.loaded.is_empty() && model.weights().is_empty());
    // An uncompiled model is nothing that should have been restored.
    assert!(
        report.to_string().ends_with("(the file has none)"),
        "{report}"
    );
    let folder = tempfile::tempdir().unwrap();
    for name in ["m.keras", "m.h5"] {
        let path = folder.path().join(name);
        model.save(&path).unwrap();
        let (again, _) = Model::open(&path).unwrap();
        assert_eq!(again.to_config(), model.to_config());
    }
    for name in ["m.weights.h5", "w.h5", "m.safetensors"] {
        let path = folder.path().join(name);
        model.save_weights(&path).unwrap();
        let (mut again, _) = Model::open(case("no-weights/center.keras")).unwrap();
        let _ = again.load_weights(&path).unwrap();
    }
    // The weights of something else are still refused.
    let (mut again, _) = Model::open(case("no-weights/center.keras")).unwrap();
    let error = again
        .load_weights(case("nested-h5/nest_FSF.h5"))
        .unwrap_err();
    assert!(error.to_string().contains("not in model"), "{error}");
}

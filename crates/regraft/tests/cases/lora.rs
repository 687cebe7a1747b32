//! Weights with a low-rank update beside them: merged, never left out.

use regraft::Model;
use regraft::ndarray::ArrayD;

use crate::common::{assert_close, case, npy};

#[test]
fn the_update_is_part_of_the_kernel_in_both_kinds_of_file() {
    let (x, y): (ArrayD<f32>, ArrayD<f32>) = (npy("lora/x.npy"), npy("lora/y.npy"));
    for name in ["lora/m.keras", "lora/m.h5"] {
        let (model, report) = Model::open(case(name)).unwrap();
        assert_close(model.predict(&x).unwrap().as_slice(), &y, 1e-5);
        assert_eq!(report.loaded.len(), 4, "{report:#}");
        // Saved again, it is a layer without an update that computes the same.
        let folder = tempfile::tempdir().unwrap();
        for again in ["again.keras", "again.h5"] {
            let path = folder.path().join(again);
            model.save(&path).unwrap();
            let (reopened, _report) = Model::open(&path).unwrap();
            let (ours, first) = (reopened.predict(&x).unwrap(), model.predict(&x).unwrap());
            assert_eq!(ours.as_slice(), first.as_slice(), "{name}, {again}");
        }
    }
}

#[test]
fn the_update_is_said_in_the_report() {
    let (_model, report) = Model::open(case("lora/m.h5")).unwrap();
    assert!(format!("{report:#}").contains("· a · b"), "{report:#}");
}

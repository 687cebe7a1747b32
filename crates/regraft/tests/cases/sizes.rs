//! Models whose images may have any size, opened for one.

use regraft::ndarray::ArrayD;
use regraft::{Model, Registry};

use crate::common::{assert_close, case, npy};

#[test]
fn a_size_can_be_given_on_opening() {
    for version in ["k3", "k2"] {
        for kind in ["functional", "sequential", "nested"] {
            for (name, sample) in [("small", [8, 8, 3]), ("wide", [9, 13, 3])] {
                let x: ArrayD<f32> = npy(&format!("sizes/{name}.x.npy"));
                let y: ArrayD<f32> = npy(&format!("sizes/{version}-{kind}.{name}.y.npy"));
                for ending in ["keras", "h5"] {
                    let file = case(&format!("sizes/{version}-{kind}.{ending}"));
                    let opened = Model::open_sized(&file, sample, &Registry::new());
                    let (model, report) =
                        opened.unwrap_or_else(|error| panic!("{file:?}: {error}"));
                    assert!(
                        report.missing.is_empty() && report.unexpected.is_empty(),
                        "{report}"
                    );
                    assert_close(model.predict(&x).unwrap().as_slice(), &y, 1e-5);
                }
            }
        }
    }
}

#[test]
fn what_does_not_go_with_the_file_is_said() {
    let file = case("sizes/k3-functional.keras");
    let error = Model::open(&file).unwrap_err().to_string();
    assert!(error.contains("open_sized"), "{error}");
    for sample in [&[8, 8, 4][..], &[8, 8]] {
        let error = Model::open_sized(&file, sample, &Registry::new()).unwrap_err();
        assert!(error.to_string().contains("leaves sizes open"), "{error}");
    }
    let fixed = case("lora/m.keras");
    assert!(Model::open_sized(fixed, [6], &Registry::new()).is_err());
}

//! Inputs of integers, and casts.

use regraft::Model;
use regraft::ndarray::ArrayD;

use crate::common::{assert_close, case, npz};

#[test]
fn images_of_bytes_are_taken_as_they_are_and_saved_as_such() {
    let file = "uint8-input/uint8_functional.npz";
    let (x, y): (ArrayD<u8>, ArrayD<f32>) = (npz(file, "x0"), npz(file, "y0"));
    let (model, _report) = Model::open(case("uint8-input/uint8_functional.keras")).unwrap();
    assert_close(model.predict(&x).unwrap().as_slice(), &y, 1e-5);
    let floats = x.mapv(f32::from);
    assert_close(model.predict(&floats).unwrap().as_slice(), &y, 1e-5);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again.keras");
    model.save(&path).unwrap();
    let (again, _report) = Model::open(&path).unwrap();
    assert_eq!(again.input_element_types()[0].name(), "uint8");
    assert_close(again.predict(&x).unwrap().as_slice(), &y, 1e-5);
    let error = model.predict(&x.mapv(|byte| i32::from(byte) + 256));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("uint8"), "{error}");
}

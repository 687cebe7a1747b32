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

/// Pixels take a byte each until their batch is made, and train as the same numbers in floats do, bit for bit.
#[test]
fn pixels_as_bytes_train_as_floats_do() {
    use regraft::layers::{Conv2D, Dense, Flatten, Input, Rescaling, layers};
    use regraft::ndarray::Array4;
    use regraft::{FeatureCache, Fit, Sequential, Verbosity};

    let bytes = Array4::from_shape_fn((20, 6, 6, 3), |(n, i, j, c)| {
        ((n * 31 + i * 57 + j * 13 + c * 101) % 256) as u8
    });
    let floats = bytes.mapv(f32::from);
    // Labels of one byte are class numbers as others are.
    let labels: Vec<u8> = (0..20).map(|n| n % 3).collect();
    let numbers: Vec<i32> = labels.iter().map(|&label| label.into()).collect();
    for cache in [FeatureCache::Auto, FeatureCache::Off] {
        let layers = || {
            layers![
                Input::new([6, 6, 3]),
                Rescaling::new(1.0 / 255.0),
                Conv2D::new(4, 3).activation("relu"),
                Flatten::new(),
                Dense::new(3),
            ]
        };
        let trained = |frozen: bool| {
            let mut model = Sequential::with_seed(layers(), 5).unwrap();
            if frozen {
                model.freeze("conv2d").unwrap();
            }
            let loss = regraft::losses::SparseCategoricalCrossentropy::from_logits();
            model.compile("adam", loss, ["accuracy"]).unwrap();
            model
        };
        let options = || {
            let options = Fit::new().epochs(3).batch_size(8).validation_split(0.2);
            options.feature_cache(cache).verbosity(Verbosity::Silent)
        };
        for frozen in [true, false] {
            let (mut one, mut other) = (trained(frozen), trained(frozen));
            let a = one.fit(&bytes, &labels, options()).unwrap();
            let b = other.fit(&floats, &numbers, options()).unwrap();
            assert_eq!(a.get("val_loss"), b.get("val_loss"));
            let (ours, theirs) = (
                one.predict(&bytes).unwrap(),
                other.predict(&floats).unwrap(),
            );
            assert_eq!(ours.as_slice(), theirs.as_slice());
        }
    }
}

//! What Keras 2 trains otherwise than Keras 3 (`fixtures/keras2_training.py`): each file trains as in the one that
//! wrote it, also after it was saved here.

use regraft::ndarray::ArrayD;
use regraft::optimizers::SGD;
use regraft::{FeatureCache, Fit, Model, Verbosity};
use serde_json::Value;

use crate::common::case;

fn array(value: &Value) -> ArrayD<f32> {
    let shape: Vec<usize> = serde_json::from_value(value["shape"].clone()).unwrap();
    let data = serde_json::from_value(value["data"].clone()).unwrap();
    ArrayD::from_shape_vec(shape, data).unwrap()
}

/// What differs of one file, predicted, trained and evaluated.
fn differences(mut model: Model, case: &Value, cache: FeatureCache) -> Vec<String> {
    let (x, y) = (array(&case["x"]), array(&case["y"]));
    let mut wrong = Vec::new();
    let mut near = |at: &str, ours: &[f64], expected: &[f64], tolerance: f64| {
        let largest = expected.iter().fold(1.0_f64, |most, it| most.max(it.abs()));
        let off = |(a, b): (&f64, &f64)| (a - b).abs() > tolerance * largest || a.is_nan();
        if ours.len() != expected.len() || ours.iter().zip(expected).any(off) {
            wrong.push(format!("{at}: {ours:?}, Keras {expected:?}"));
        }
    };
    let numbers = |value: &Value| -> Vec<f64> { serde_json::from_value(value.clone()).unwrap() };
    let predict = |model: &Model| -> Vec<f64> {
        let y = model.predict(&x).unwrap();
        y.as_slice().iter().map(|&y| f64::from(y)).collect()
    };
    near(
        "before",
        &predict(&model),
        &numbers(&case["before"]["data"]),
        1e-5,
    );
    model.compile(SGD::new(0.02), "mse", ()).unwrap();
    let fit = Fit::new().epochs(5).shuffle(false).feature_cache(cache);
    let history = model.fit(&x, &y, fit.verbosity(Verbosity::Silent)).unwrap();
    near(
        "losses",
        history.get("loss").unwrap(),
        &numbers(&case["losses"]),
        2e-5,
    );
    near(
        "after",
        &predict(&model),
        &numbers(&case["after"]["data"]),
        5e-5,
    );
    let evaluated = model.evaluate(&x, &y).unwrap().loss;
    near(
        "evaluated",
        &[evaluated],
        &numbers(&serde_json::json!([case["evaluated"]])),
        2e-5,
    );
    wrong
}

#[test]
fn each_file_trains_as_in_the_keras_that_wrote_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut count, mut wrong) = (0, Vec::new());
    for list in ["k2", "k3"] {
        let text = std::fs::read_to_string(case(&format!("keras2-training/{list}.json"))).unwrap();
        let cases: Value = serde_json::from_str(&text).unwrap();
        for of_file in cases["cases"].as_array().unwrap() {
            let file = of_file["file"].as_str().unwrap();
            let open = || {
                Model::open(case(&format!("keras2-training/{file}")))
                    .unwrap()
                    .0
            };
            let mut check = |what: String, model: Model, cache: FeatureCache| {
                let found = differences(model, of_file, cache).into_iter();
                wrong.extend(found.map(|found| format!("{what}, {found}")));
            };
            check(file.to_string(), open(), FeatureCache::Auto);
            check(format!("{file} without a cache"), open(), FeatureCache::Off);
            for ending in ["keras", "h5"] {
                let again = folder.path().join(format!("again.{ending}"));
                open().save(&again).unwrap();
                let again = Model::open(&again).unwrap().0;
                check(format!("{file} as {ending}"), again, FeatureCache::Auto);
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(count, 3 * 19);
}

//! Views of pictures: their mean is that of predictions by hand, and is kept only if it helps.

use ndarray::{Array2, Array4, Axis, s};

use crate::data::Arrays;
use crate::fine_tuning::{TestTimeAugmentation, View};
use crate::layers::{Conv2D, Dense, Flatten, Input, LayerExt, layers};
use crate::losses::{BinaryCrossentropy, SparseCategoricalCrossentropy};
use crate::{Fit, Model, Sequential, Verbosity};

/// Which half a picture is light in: above or below, so that mirroring changes nothing, and noise.
fn pictures(count: usize, seed: usize) -> (Array4<f32>, Vec<i32>) {
    let x = Array4::from_shape_fn((count, 6, 6, 1), |(n, i, j, _)| {
        let noise = (((n + seed) * 97 + i * 31 + j * 17) as f32 * 12.9898).sin() * 1.2;
        noise + if (i < 3) == (n % 2 == 0) { 0.4 } else { 0.0 }
    });
    (x, (0..count).map(|n| (n % 2) as i32).collect())
}

fn trained(activation: &str, width: usize) -> Model {
    let stack = layers![
        Input::new([6, 6, 1]),
        Conv2D::new(4, 3).activation("relu"),
        Flatten::new(),
        Dense::new(width).activation(activation).named("head"),
    ];
    let mut model = Sequential::with_seed(stack, 4).unwrap();
    match width {
        1 => model.compile("adam", BinaryCrossentropy::from_logits(), ["accuracy"]),
        _ if activation == "softmax" => {
            model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        }
        _ => {
            let loss = SparseCategoricalCrossentropy::from_logits();
            model.compile("adam", loss, ["accuracy"])
        }
    }
    .unwrap();
    let (x, y) = pictures(64, 0);
    let fit = Fit::new().epochs(12).verbosity(Verbosity::Silent);
    match width {
        1 => {
            let y: Vec<f32> = y.iter().map(|label| *label as f32).collect();
            model.fit(&x, &y, fit).unwrap();
        }
        _ => drop(model.fit(&x, &y, fit).unwrap()),
    }
    model
}

fn predictions(model: &Model, x: &Array4<f32>) -> Array2<f64> {
    let found = model.predict(x).unwrap();
    let width = found.shape()[1];
    let values = found.as_slice().iter().map(|it| f64::from(*it)).collect();
    Array2::from_shape_vec((x.len_of(Axis(0)), width), values).unwrap()
}

fn softmax(logits: &Array2<f64>) -> Array2<f64> {
    let exponents = logits.mapv(f64::exp);
    let sums = exponents.sum_axis(Axis(1)).insert_axis(Axis(1));
    exponents / sums
}

#[test]
fn the_mean_is_that_of_probabilities() {
    let (x, y) = pictures(20, 3);
    let mirrored = x.slice(s![.., .., ..;-1, ..]).to_owned();
    let turned = x.slice(s![.., ..;-1, ..;-1, ..]).to_owned();
    let views = || {
        TestTimeAugmentation::of([
            View::whole(),
            View::whole().mirrored(),
            View::whole().mirrored().upside_down(),
        ])
    };
    for (activation, width) in [("softmax", 2), ("linear", 2), ("linear", 1)] {
        let mut model = trained(activation, width);
        let by_view = [&x, &mirrored, &turned].map(|x| predictions(&model, x));
        let probabilities = by_view.map(|view| match (activation, width) {
            ("softmax", _) => view,
            (_, 1) => view.mapv(|logit| 1.0 / (1.0 + (-logit).exp())),
            _ => softmax(&view),
        });
        let expected = (&probabilities[0] + &probabilities[1] + &probabilities[2]) / 3.0;
        let labels: Vec<f32> = y.iter().map(|label| *label as f32).collect();
        let data = match width {
            1 => Arrays::new(&x, &labels).unwrap(),
            _ => Arrays::new(&x, &y).unwrap(),
        };
        let seen = model.of_views(&views()).unwrap();
        let found = predictions(&seen, &x);
        let found = match (activation, width) {
            ("softmax", _) => found,
            (_, 1) => found.mapv(|logit| 1.0 / (1.0 + (-logit).exp())),
            _ => softmax(&found),
        };
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 1e-5,
                "{activation}: {found} {expected}"
            );
        }
        // It is kept by what it is worth, which both losses measure.
        let tried = model.test_time_augmentation(&data, views()).unwrap();
        let log_loss = |p: &Array2<f64>| {
            let of = |(row, label): (usize, &i32)| match width {
                1 => -(if *label == 1 {
                    p[[row, 0]]
                } else {
                    1.0 - p[[row, 0]]
                })
                .ln(),
                _ => -p[[row, *label as usize]].ln(),
            };
            y.iter().enumerate().map(of).sum::<f64>() / y.len() as f64
        };
        assert!((tried.plain().loss - log_loss(&probabilities[0])).abs() < 1e-4);
        assert!((tried.augmented().loss - log_loss(&expected)).abs() < 1e-4);
        let text = tried.to_string();
        assert_eq!(text.contains(", kept:"), tried.helps(), "{text}");
        let kept = predictions(tried.model(), &x);
        let same = match tried.helps() {
            true => predictions(&seen, &x),
            false => predictions(&model, &x),
        };
        assert_eq!(kept, same);
    }
}

#[test]
fn mirrored_views_help_where_mirroring_changes_nothing_and_others_are_not_kept() {
    let mut model = trained("softmax", 2);
    let (x, y) = pictures(200, 1000);
    let data = Arrays::new(&x, &y).unwrap();
    let tried = model
        .test_time_augmentation(&data, TestTimeAugmentation::mirrored())
        .unwrap();
    assert!(tried.helps(), "{tried}");
    let scores = tried.clone().into_model().evaluate_dataset(&data).unwrap();
    assert_eq!(&scores, tried.augmented());
    // Upside down the classes are exchanged.
    let before = predictions(&model, &x);
    let views = TestTimeAugmentation::of([View::whole(), View::whole().upside_down()]);
    let tried = model.test_time_augmentation(&data, views).unwrap();
    assert!(!tried.helps(), "{tried}");
    assert!(tried.to_string().contains("not kept"));
    assert_eq!(predictions(tried.model(), &x), before);
    // One view that is the picture as it is, is no better.
    let views = TestTimeAugmentation::of([View::whole()]);
    assert!(!model.test_time_augmentation(&data, views).unwrap().helps());
}

#[test]
fn a_model_of_views_is_saved_and_opened_as_any_other() {
    let model = trained("linear", 2);
    let (x, _) = pictures(10, 5);
    let views = TestTimeAugmentation::five_parts(0.7).and_mirrored();
    assert_eq!(views.views.len(), 10);
    let seen = model.of_views(&views).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("views.keras");
    seen.save(&path).unwrap();
    let (opened, _report) = Model::open(&path).unwrap();
    assert_eq!(predictions(&opened, &x), predictions(&seen, &x));
    // The middle of 4 of 6 rows, and the left upper corner.
    let part = |at: [f32; 2]| {
        let view = View::part(0.7, at);
        model.of_views(&TestTimeAugmentation::of([view])).unwrap()
    };
    let resized = |rows: std::ops::Range<usize>| {
        let part = x.slice(s![.., rows.clone(), rows, ..]).to_owned();
        let resize = Sequential::new(layers![
            Input::new([4, 4, 1]),
            crate::layers::Resizing::new(6, 6)
        ])
        .unwrap();
        let found = resize.predict(&part).unwrap();
        Array4::from_shape_vec((10, 6, 6, 1), found.as_slice().to_vec()).unwrap()
    };
    for (at, rows) in [([0.5, 0.5], 1..5), ([0.0, 0.0], 0..4), ([1.0, 1.0], 2..6)] {
        let expected = softmax(&predictions(&model, &resized(rows)));
        let found = softmax(&predictions(&part(at), &x));
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 1e-5,
                "{at:?}: {found} {expected}"
            );
        }
    }
}

#[test]
fn what_has_no_views_is_refused() {
    let mut model = trained("softmax", 2);
    let (x, y) = pictures(8, 0);
    let data = Arrays::new(&x, &y).unwrap();
    let mut refused = |views: TestTimeAugmentation, part: &str| {
        let text = model
            .test_time_augmentation(&data, views)
            .unwrap_err()
            .to_string();
        assert!(text.contains(part), "{part}: {text}");
    };
    refused(TestTimeAugmentation::of([]), "a view");
    refused(
        TestTimeAugmentation::of([View::part(0.0, [0.5, 0.5])]),
        "View::part",
    );
    refused(
        TestTimeAugmentation::of([View::part(0.5, [2.0, 0.5])]),
        "View::part",
    );
    let mut rows = Sequential::new(layers![Input::new([4]), Dense::new(2)]).unwrap();
    rows.compile("adam", SparseCategoricalCrossentropy::from_logits(), ())
        .unwrap();
    let x = Array2::<f32>::zeros((2, 4));
    let data = Arrays::new(&x, &[0, 1]).unwrap();
    let views = TestTimeAugmentation::mirrored;
    let text = rows
        .test_time_augmentation(&data, views())
        .unwrap_err()
        .to_string();
    assert!(text.contains("pictures"), "{text}");
}

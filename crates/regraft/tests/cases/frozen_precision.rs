//! Frozen layers in low precision: what learns from their features and what predicts agree, what is trained and every
//! byte of a weight stay as they were, and nothing is taken for what it is not.

use regraft::data::Arrays;
use regraft::layers::{
    Add, BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Functional, GlobalAveragePooling2D,
    LayerExt, ReLU,
};
use regraft::ndarray::{Array1, Array4};
use regraft::{
    Error, FeatureCache, FeatureStore, Fit, FrozenPrecision, History, Model, Tensor, Verbosity,
};

/// A backbone of a mobile network's layers, frozen, and a head of its own, compiled.
fn network() -> Model {
    let mut f = Functional::with_seed(3);
    let x = f.input([12, 12, 3]);
    let normal = |f: &mut Functional, h| f.apply(BatchNormalization::new(), &[h]).unwrap();
    let h = f
        .apply(Conv2D::new(12, 3).padding("same").strides(2), &[x])
        .unwrap();
    let h = normal(&mut f, h);
    let stem = f.apply(ReLU::new().max_value(6.0), &[h]).unwrap();
    let h = f
        .apply(Conv2D::new(30, 1).use_bias(false), &[stem])
        .unwrap();
    let h = normal(&mut f, h);
    let h = f.apply(ReLU::new().max_value(6.0), &[h]).unwrap();
    let h = f
        .apply(DepthwiseConv2D::new(3).padding("same"), &[h])
        .unwrap();
    let h = f.apply(ReLU::new().max_value(6.0), &[h]).unwrap();
    let h = f.apply(Conv2D::new(12, 1), &[h]).unwrap();
    let h = normal(&mut f, h);
    let h = f.apply(Add, &[stem, h]).unwrap();
    let h = f
        .apply(Conv2D::new(20, 3).activation("relu"), &[h])
        .unwrap();
    let features = f
        .apply(GlobalAveragePooling2D::new().named("features"), &[h])
        .unwrap();
    let y = f.apply(Dense::new(3).named("head"), &[features]).unwrap();
    let mut model = f.model(&[x], &[y]).unwrap();
    model.freeze(..-1).unwrap();
    let loss = regraft::losses::SparseCategoricalCrossentropy::from_logits();
    model.compile("adam", loss, ["accuracy"]).unwrap();
    model
}

fn data() -> (Array4<f32>, Array1<i32>) {
    let x = Array4::from_shape_fn((40, 12, 12, 3), |(n, i, j, c)| {
        ((n * 432 + i * 36 + j * 3 + c) as f32 * 0.317).sin()
    });
    (x, Array1::from_shape_fn(40, |n| (n % 3) as i32))
}

fn fit<'a>() -> Fit<'a> {
    Fit::new().epochs(3).seed(5).verbosity(Verbosity::Silent)
}

/// Fits the model, and a copy of it as [`fit`] says without kept features: to the same bits.
fn fitted_alike(model: &mut Model, x: &Array4<f32>, y: &Array1<i32>, with: Fit<'_>) -> History {
    let mut uncached = model.clone();
    let history = model.fit(x, y, with).unwrap();
    let without = fit().feature_cache(FeatureCache::Off);
    uncached.fit(x, y, without).unwrap();
    for (a, b) in model.weights().iter().zip(uncached.weights().iter()) {
        assert_eq!(bits(a.value()), bits(b.value()), "{}", a.path());
    }
    history
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    tensor.as_slice().iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_head_learns_from_the_features_that_prediction_computes() {
    for precision in [FrozenPrecision::int8(), FrozenPrecision::bfloat16()] {
        let (x, y) = data();
        let mut model = network();
        let exact = model.cut_at("features").unwrap().predict(&x).unwrap();
        let digest = model.frozen_digest();
        let similarity = model.set_frozen_precision(precision, &x).unwrap();
        assert!(
            similarity.cosine > 0.99 && similarity.cosine < 1.0,
            "{similarity}"
        );
        assert_eq!(similarity.samples, 32);
        // The first layer stays; the depthwise one has no kernel of bfloat16.
        let int8 = precision == FrozenPrecision::int8();
        let expected = if int8 { (4, 1) } else { (3, 2) };
        assert_eq!(
            (similarity.products, similarity.left),
            expected,
            "{similarity}"
        );
        let features = model.cut_at("features").unwrap().predict(&x).unwrap();
        let apart = |a: &Tensor, b: &Tensor| -> f32 {
            let apart = a.as_slice().iter().zip(b.as_slice());
            apart.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
        };
        assert!(apart(&features, &exact) > 1e-6);

        let history = fitted_alike(&mut model, &x, &y, fit().validation_data(&x, &y));
        assert_eq!(model.frozen_digest(), digest);
        // The head is a sum of the features, in 32-bit floats.
        let kernel = model.weight("head/kernel").unwrap().value().clone();
        let bias = model.weight("head/bias").unwrap().value().clone();
        let predicted = model.predict(&x).unwrap();
        let by_hand: Vec<f32> = features
            .as_slice()
            .chunks(20)
            .flat_map(|row| {
                let sum = |class: usize| {
                    let products = row.iter().zip(kernel.as_slice()[class..].iter().step_by(3));
                    let sum: f64 = products.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
                    (sum + f64::from(bias.as_slice()[class])) as f32
                };
                (0..3).map(sum).collect::<Vec<f32>>()
            })
            .collect();
        let by_hand = Tensor::new(predicted.shape(), by_hand).unwrap();
        assert!(apart(&predicted, &by_hand) < 1e-5);
        // Validation, evaluation and prediction see the same model.
        let scores = model.evaluate(&x, &y).unwrap();
        let last = history.last("val_loss").unwrap();
        assert!((scores.loss - last).abs() < 1e-5, "{} {last}", scores.loss);
        let right = predicted.argmax(-1).unwrap();
        let right = right
            .as_slice()
            .iter()
            .zip(&y)
            .filter(|(a, b)| a == b)
            .count();
        assert!((scores.get("accuracy").unwrap() - right as f64 / 40.0).abs() < 1e-6);
        assert_eq!(
            bits(&model.predictor().unwrap().predict(&x).unwrap()),
            bits(&predicted)
        );
        assert_eq!(bits(&model.clone().predict(&x).unwrap()), bits(&predicted));
        // A sample alone.
        let one = x.slice(regraft::ndarray::s![7..8, .., .., ..]);
        let alone = model.predict(&one).unwrap();
        assert_eq!(bits(&alone)[..], bits(&predicted)[7 * 3..8 * 3]);
    }
}

#[test]
fn it_is_told_and_taken_back() {
    let (x, y) = data();
    let mut model = network();
    let before = (
        model.predict(&x).unwrap(),
        model.evaluate(&x, &y).unwrap().loss,
    );
    let summary = model.summary().to_string();
    model
        .set_frozen_precision(FrozenPrecision::int8(), &x)
        .unwrap();
    assert_ne!(bits(&model.predict(&x).unwrap()), bits(&before.0));
    assert_ne!(model.evaluate(&x, &y).unwrap().loss, before.1);
    let told =
        "4 of 5 frozen products in int8; features of 32 samples beside float32: cosine similarity";
    assert!(
        model.summary().to_string().contains(told),
        "{}",
        model.summary()
    );
    let plan = model.plan(40, 8).unwrap();
    assert!(plan.to_string().contains(told), "{plan}");
    assert_eq!(plan.frozen_precision, model.frozen_precision());
    model.reset_frozen_precision();
    assert_eq!(bits(&model.predict(&x).unwrap()), bits(&before.0));
    assert_eq!(model.evaluate(&x, &y).unwrap().loss, before.1);
    assert_eq!(model.summary().to_string(), summary);
    assert_eq!(model.frozen_precision(), None);
}

/// A residual block of which the convolutions have as many channels as it takes, frozen, and a head.
fn residual_network() -> Model {
    let mut f = Functional::with_seed(3);
    let x = f.input([12, 12, 3]);
    let same = |filters| Conv2D::new(filters, 3).padding("same");
    let h = f.apply(same(32).activation("relu"), &[x]).unwrap();
    let inner = f.apply(same(40).use_bias(false), &[h]).unwrap();
    let inner = f.apply(BatchNormalization::new(), &[inner]).unwrap();
    let inner = f.apply(ReLU::new(), &[inner]).unwrap();
    let inner = f.apply(same(32), &[inner]).unwrap();
    let h = f.apply(Add, &[h, inner]).unwrap();
    let h = f.apply(ReLU::new(), &[h]).unwrap();
    let features = GlobalAveragePooling2D::new().named("features");
    let features = f.apply(features, &[h]).unwrap();
    let y = f.apply(Dense::new(3).named("head"), &[features]).unwrap();
    let mut model = f.model(&[x], &[y]).unwrap();
    model.freeze(..-1).unwrap();
    let loss = regraft::losses::SparseCategoricalCrossentropy::from_logits();
    model.compile("adam", loss, ["accuracy"]).unwrap();
    model
}

#[test]
fn fewer_multiplications_are_near_and_told() {
    let (x, y) = data();
    let mut model = residual_network();
    let exact = model.cut_at("features").unwrap().predict(&x).unwrap();
    let digest = model.frozen_digest();
    let operations = model.plan(40, 8).unwrap().operations_without_cache;
    let similarity = model
        .set_frozen_precision(FrozenPrecision::winograd(), &x)
        .unwrap();
    assert_eq!(
        (similarity.products, similarity.left),
        (2, 1),
        "{similarity}"
    );
    assert!(
        similarity.relative_error > 0.0 && similarity.relative_error < 1e-6,
        "{similarity}"
    );
    let told =
        "2 of 3 frozen products in float32 by Winograd's F(2x2, 3x3); features of 32 samples";
    let plan = model.plan(40, 8).unwrap();
    assert!(plan.to_string().contains(told), "{plan}");
    assert!(
        plan.operations_without_cache < operations * 7 / 10,
        "{plan}"
    );
    assert!(model.summary().to_string().contains(told));
    let features = model.cut_at("features").unwrap().predict(&x).unwrap();
    assert_ne!(bits(&features), bits(&exact));
    // What learns and what predicts agree, cached or not, one sample or all.
    fitted_alike(&mut model, &x, &y, fit());
    assert_eq!(model.frozen_digest(), digest);
    let predicted = bits(&model.predict(&x).unwrap());
    assert_eq!(
        bits(&model.predictor().unwrap().predict(&x).unwrap()),
        predicted
    );
    let one = x.slice(regraft::ndarray::s![7..8, .., .., ..]);
    assert_eq!(
        bits(&model.predict(&one).unwrap())[..],
        predicted[7 * 3..8 * 3]
    );
    // Rows of features are not taken for those of another precision.
    let samples = Arrays::new(&x, Vec::<regraft::Data<'_>>::new()).unwrap();
    let folder = std::env::temp_dir().join(format!("regraft-winograd-{}", std::process::id()));
    let store = FeatureStore::open(&folder).unwrap();
    let mut base = model.cut_at("features").unwrap();
    assert_eq!(
        base.extract_features(&samples, &store).unwrap().computed,
        40
    );
    base.reset_frozen_precision();
    assert_eq!(
        base.extract_features(&samples, &store).unwrap().computed,
        40
    );
    std::fs::remove_dir_all(&folder).unwrap();
    // A network without such convolutions.
    let error = network()
        .set_frozen_precision(FrozenPrecision::winograd(), &x)
        .unwrap_err();
    assert!(error.to_string().contains("3×3 taps"), "{error}");
}

#[test]
fn what_cannot_be_is_refused_and_the_model_is_as_before() {
    let (x, _) = data();
    let mut model = network();
    let before = model.predict(&x).unwrap();
    let impossible = FrozenPrecision::int8().least_similarity(1.1);
    let error = model.set_frozen_precision(impossible, &x).unwrap_err();
    assert!(matches!(error, Error::Model(_)), "{error}");
    assert!(
        error.to_string().contains("cosine similarity of 1.1"),
        "{error}"
    );
    let no_number = FrozenPrecision::int8().least_similarity(f32::NAN);
    assert!(model.set_frozen_precision(no_number, &x).is_err());
    let small = Array4::<f32>::zeros((4, 5, 5, 3));
    assert!(
        model
            .set_frozen_precision(FrozenPrecision::int8(), &small)
            .is_err()
    );
    assert_eq!(model.frozen_precision(), None);
    assert_eq!(bits(&model.predict(&x).unwrap()), bits(&before));
    // Below what is trained nothing is frozen.
    model.unfreeze(1).unwrap();
    let error = model
        .set_frozen_precision(FrozenPrecision::int8(), &x)
        .unwrap_err();
    assert!(error.to_string().contains("freeze(..)"), "{error}");
}

#[test]
fn rows_of_floats_are_not_taken_for_others() {
    let (x, _) = data();
    let data = Arrays::new(&x, Vec::<regraft::Data<'_>>::new()).unwrap();
    let folder = std::env::temp_dir().join(format!("regraft-precision-{}", std::process::id()));
    let store = FeatureStore::open(&folder).unwrap();
    let mut base = network().cut_at("features").unwrap();
    let mut seen = Vec::new();
    let precisions = [
        None,
        Some(FrozenPrecision::int8()),
        Some(FrozenPrecision::bfloat16()),
    ];
    for precision in precisions {
        base.reset_frozen_precision();
        if let Some(precision) = precision {
            base.set_frozen_precision(precision, &x).unwrap();
        }
        let first = base.extract_features(&data, &store).unwrap();
        assert_eq!(
            (first.computed, &first.not_kept),
            (40, &None),
            "{precision:?}"
        );
        let again = base.extract_features(&data, &store).unwrap();
        assert_eq!(again.computed, 0);
        let rows = bits(&again.into_tensor().unwrap());
        assert_eq!(rows, bits(&base.predict(&x).unwrap()));
        assert!(!seen.contains(&rows));
        seen.push(rows);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

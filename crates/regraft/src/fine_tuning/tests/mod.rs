//! The recipes: rates and rules beside fastai's, and what a recipe may never do.

mod blocks;
#[cfg(feature = "heads")]
mod head2toe;
mod promises;
mod rates;
mod resuming;
mod test_time;

use ndarray::Array2;

use crate::fine_tuning::FineTune;
use crate::layers::{
    BatchNormalization, Dense, Dropout, Input, LayerExt, SpectralNormalization, layers,
};
use crate::{Model, Sequential, Verbosity};

fn assert_near(found: f64, expected: f64, what: &str) {
    assert!(
        (found / expected - 1.0).abs() < 1e-5,
        "{what}: {found} is not {expected}"
    );
}

/// Two inputs, two layers of a base, and a head.
fn classifier(normalized: bool) -> Model {
    let mut stack = layers![
        Input::new([2]),
        Dense::new(6).activation("tanh").named("first"),
        Dense::new(5).activation("tanh").named("second"),
    ];
    if normalized {
        stack.insert(2, BatchNormalization::new().named("normalization"));
    }
    stack.extend(layers![
        Dropout::new(0.2),
        Dense::new(2).activation("softmax").named("head")
    ]);
    let mut model = Sequential::with_seed(stack, 3).unwrap();
    model
        .compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        .unwrap();
    model
}

/// A disc within a ring.
fn samples() -> (Array2<f32>, Vec<i32>) {
    let angle = |i: usize| i as f32 * 0.7;
    let radius = |i: usize| if i.is_multiple_of(2) { 0.5 } else { 1.2 };
    let x = Array2::from_shape_fn((80, 2), |(i, j)| match j {
        0 => radius(i) * angle(i).cos(),
        _ => radius(i) * angle(i).sin(),
    });
    (x, (0..80).map(|i| i % 2).collect())
}

fn recipes() -> [(&'static str, FineTune<'static>); 5] {
    let quiet = |recipe: FineTune<'static>| recipe.epochs(4).verbosity(Verbosity::Silent);
    [
        ("new", quiet(FineTune::new())),
        ("lp_ft", quiet(FineTune::lp_ft())),
        ("fastai", quiet(FineTune::fastai())),
        ("gradual", quiet(FineTune::gradual())),
        ("surgical", quiet(FineTune::surgical())),
    ]
}

fn bytes(model: &Model) -> Vec<u32> {
    let values = model
        .weights()
        .iter()
        .flat_map(|weight| weight.value().as_slice());
    values.map(|value| value.to_bits()).collect()
}

/// Names that a layer has in a nested model, too; a wrapper; a layer that is applied twice.
fn nested() -> Model {
    let base = Sequential::with_seed(
        layers![
            Input::new([2]),
            Dense::new(6).activation("tanh").named("dense"),
            SpectralNormalization::new(Dense::new(6).activation("tanh").named("inner")).named("sn")
        ],
        1,
    )
    .unwrap();
    let stack = layers![
        Input::new([2]),
        base.named("base"),
        Dense::new(5).activation("tanh").named("dense"),
        BatchNormalization::new()
            .center(false)
            .scale(false)
            .named("bare"),
        Dense::new(2).activation("softmax").named("head")
    ];
    let mut model = Sequential::with_seed(stack, 2).unwrap();
    model
        .compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        .unwrap();
    model
}

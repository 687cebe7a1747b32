//! Threads that predict at once: with one predictor, and with the model that keeps one. By itself, so that `.ci/threads`
//! builds little more than this under ThreadSanitizer.

use regraft::ndarray::{Array2, Array4};
use regraft::prelude::*;

fn bits(y: &Tensor) -> Vec<u32> {
    y.as_slice().iter().map(|y| y.to_bits()).collect()
}

/// Each of `inputs` by eight threads at once, many times, beside what a model says that has compiled nothing before.
fn agree<X: Sync>(model: &Model, inputs: Vec<X>, turns: usize)
where
    for<'a> &'a X: regraft::IntoInputs<'a>,
{
    let all: Vec<(X, Vec<u32>)> = inputs
        .into_iter()
        .map(|x| {
            let y = bits(&model.clone().predict(&x).unwrap());
            (x, y)
        })
        .collect();
    let predictor = model.predictor().unwrap();
    let barrier = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (predictor, all, barrier) = (predictor.clone(), &all, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for turn in 0..turns {
                    let (x, expected) = &all[(thread + turn) % all.len()];
                    assert_eq!(&bits(&predictor.predict(x).unwrap()), expected);
                    assert_eq!(&bits(&model.predict(x).unwrap()), expected);
                }
            });
        }
    });
}

#[test]
fn eight_threads_predict_at_once_and_agree_in_every_bit() {
    let layers = layers![
        Input::new([6]),
        Dense::new(8).activation("relu").named("hidden"),
        BatchNormalization::new().named("norm"),
        Dropout::new(0.5),
        Dense::new(3).activation("softmax").named("head"),
    ];
    let model = Sequential::with_seed(layers, 5).unwrap();
    let samples = |rows: usize| {
        Array2::from_shape_fn((rows, 6), |(row, column)| {
            ((row * 6 + column) as f32 * 0.7).sin()
        })
    };
    // Of several sizes, so that workspaces change hands and sizes.
    agree(&model, [1, 3, 40, 2500].map(samples).into(), 30);
}

/// Pictures, each of so much work that other threads stand by for it: for the first that asks, which is alone while it
/// is told what to expect. Of several pictures each thread takes its own.
#[test]
fn eight_threads_look_at_pictures_and_agree_in_every_bit() {
    let layers = layers![
        Input::new([64, 64, 3]),
        Conv2D::new(16, 3).strides(2).activation("relu"),
        BatchNormalization::new(),
        DepthwiseConv2D::new(3).padding("same").activation("relu6"),
        Conv2D::new(64, 1).activation("relu6"),
        Conv2D::new(64, 3).activation("relu"),
        GlobalAveragePooling2D::new(),
        Dense::new(3).activation("softmax"),
    ];
    let model = Sequential::with_seed(layers, 7).unwrap();
    let pictures = |count: usize| {
        Array4::from_shape_fn((count, 64, 64, 3), |(i, y, x, c)| {
            ((i * 31 + y * 7 + x * 3 + c) as f32 * 0.3).sin()
        })
    };
    agree(&model, [1, 2, 9].map(pictures).into(), 4);
}

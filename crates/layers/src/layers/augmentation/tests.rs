//! Layers that change images against real Keras: pixels where nothing is left to chance, what may come
//! out where something is, configurations; and what must hold of the random numbers.

use regraft_tensor::Tensor;
use serde_json::{Value, json};

use super::*;
use crate::golden::{self, name, tensor};
use crate::layers::Input;
use crate::layers::tests::{check_config, run};
use crate::{LayerSpec, Mode, Model, Registry, Sequential, layers};

/// A model of the case's layer alone.
fn model(case: &Value) -> Model {
    let mut shape = case["inputs"]["x"]["shape"].clone();
    shape[0] = Value::Null;
    let input =
        json!({ "class_name": "InputLayer", "config": { "name": "x", "batch_shape": shape } });
    let layers = [input, case["config"]["layer"].clone()];
    let config = json!({
        "class_name": "Sequential",
        "config": { "name": "case", "layers": layers },
    });
    Model::from_config(&config, &Registry::new()).unwrap()
}

fn near(ours: &[f32], expected: &[f32]) -> bool {
    let largest = expected.iter().fold(1.0_f32, |most, x| most.max(x.abs()));
    let mut pairs = ours.iter().zip(expected);
    ours.len() == expected.len() && pairs.all(|(a, b)| (a - b).abs() <= 1e-5 * largest)
}

#[test]
fn what_comes_out_is_what_may_come_out_of_keras() {
    let mut wrong = Vec::new();
    for case in golden::cases("augmentation") {
        let (what, model, x) = (name(&case), model(&case), tensor(&case["inputs"]["x"]));
        let inference = tensor(&case["outputs"]["inference"]);
        if !near(&run(&model, Mode::Inference, &x, 0), inference.as_slice()) {
            wrong.push(format!("{what}: inference"));
        }
        let mut frozen = model.clone();
        frozen.freeze(..).unwrap();
        if !near(&run(&frozen, Mode::Training, &x, 0), inference.as_slice()) {
            wrong.push(format!("{what}: frozen"));
        }
        let choices = case["outputs"]["training"].as_array().unwrap();
        let choices: Vec<Tensor> = choices.iter().map(tensor).collect();
        let row = choices[0].len() / x.shape()[0];
        let mut seen = vec![false; choices.len()];
        for step in 0..if choices.len() == 1 { 2 } else { 60 } {
            let y = run(&model, Mode::Training, &x, step);
            for (sample, y) in y.chunks(row).enumerate() {
                let is = |choice: &Tensor| near(y, &choice.as_slice()[sample * row..][..row]);
                match choices.iter().position(is) {
                    Some(choice) => seen[choice] = true,
                    None => wrong.push(format!("{what}: step {step}, sample {sample}: {y:?}")),
                }
            }
        }
        if seen.contains(&false) {
            wrong.push(format!("{what}: what may come out and did: {seen:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn configurations_are_those_of_keras() {
    for case in golden::cases("augmentation") {
        let config = model(&case).to_config();
        let mut ours = config["config"]["layers"][1].clone();
        let mut keras = case["config"]["layer"].clone();
        for value in [&mut ours, &mut keras] {
            value.as_object_mut().unwrap().remove("build_config");
        }
        check_config(name(&case), &ours, &keras);
    }
}

/// One of each layer, as it changes most.
fn all() -> Vec<LayerSpec> {
    layers![
        RandomFlip::default(),
        RandomRotation::new(0.5),
        RandomZoom::new(0.5).width_factor((0.1, 0.4)),
        RandomTranslation::new(0.5, 0.5).fill_mode("wrap"),
        RandomShear::new(0.5, (0.1, 0.5)),
        RandomPerspective::new((1.0, 1.0)),
        RandomCrop::new(5, 4),
        RandomElasticTransform::new((1.0, 1.0)).scale((1.0, 1.0)),
        RandomContrast::new((0.9, 0.9)),
        RandomBrightness::new(0.5),
        RandomHue::new(1.0),
        RandomSaturation::new((0.0, 1.0)),
        RandomGrayscale::new(0.5),
        RandomColorDegeneration::new((0.0, 1.0)),
        RandomPosterization::new(8.0),
        RandomSharpness::new(1.0),
        RandomGaussianBlur::new((1.0, 1.0)),
        RandomColorJitter::new()
            .brightness(0.3)
            .contrast(0.3)
            .saturation((0.2, 0.8))
            .hue(0.4),
        RandomInvert::new(1.0),
        RandomErasing::new((1.0, 1.0)).scale((0.3, 0.6)),
        Solarization::new(0.3, 0.7),
        Equalization::new(),
        MixUp::new(1.0),
        CutMix::new((1.0, 1.0)),
        RandAugment::new().num_ops(3),
        TrivialAugment::new(),
        AugMix::new(),
        Pipeline::new(vec![
            std::sync::Arc::new(RandomFlip::default()),
            std::sync::Arc::new(RandomBrightness::new(0.4)),
        ]),
    ]
}

fn pixels(samples: usize) -> Tensor {
    let size = samples * 8 * 7 * 3;
    let pixel = |index: usize| ((index * 7919) % 256) as f32;
    Tensor::new([samples, 8, 7, 3], (0..size).map(pixel).collect()).unwrap()
}

fn alone(layer: LayerSpec) -> Model {
    Sequential::new(vec![Input::new([8, 7, 3]).into(), layer]).unwrap()
}

#[test]
fn the_same_step_gives_the_same_and_another_step_something_else() {
    let x = pixels(6);
    for layer in all() {
        let model = alone(layer);
        let class = model.to_config()["config"]["layers"][1]["class_name"].to_string();
        let first = run(&model, Mode::Training, &x, 3);
        assert_eq!(first, run(&model, Mode::Training, &x, 3), "{class}");
        let changes = (4..40).any(|step| run(&model, Mode::Training, &x, step) != first);
        assert!(changes || class.contains("Equalization"), "{class}");
        assert!(first.iter().all(|value| value.is_finite()), "{class}");
        assert_eq!(run(&model, Mode::Inference, &x, 3), x.as_slice(), "{class}");
    }
}

#[test]
fn an_image_s_change_does_not_depend_on_how_many_others_there_are() {
    // These look at the other images, or draw for the batch.
    let batchwise = ["Equalization", "MixUp", "CutMix", "RandAugment", "AugMix"];
    let (few, many) = (pixels(2), pixels(6));
    for layer in all() {
        let model = alone(layer);
        let config = model.to_config();
        let class = config["config"]["layers"][1]["class_name"]
            .as_str()
            .unwrap();
        if batchwise.contains(&class) {
            continue;
        }
        let few = run(&model, Mode::Training, &few, 5);
        let many = run(&model, Mode::Training, &many, 5);
        assert_eq!(few, many[..few.len()], "{class}");
    }
}

#[test]
fn a_layer_that_is_named_by_its_seed_draws_the_same_wherever_it_stands() {
    let x = pixels(3);
    let flip = || RandomBrightness::new(0.5).seed(9);
    let first = alone(flip().into());
    let input = Input::new([8, 7, 3]);
    let nothing = RandomContrast::new((0.0, 0.0)).value_range(-1e6, 1e6);
    let second: Model = Sequential::new(layers![input, nothing, flip()]).unwrap();
    let (first, second) = (
        run(&first, Mode::Training, &x, 1),
        run(&second, Mode::Training, &x, 1),
    );
    for (a, b) in first.iter().zip(second) {
        assert!((a - b).abs() < 1e-3);
    }
}

#[test]
fn strengths_are_drawn_evenly_and_halves_are_halves() {
    // 4000 images of one gray pixel.
    let x = Tensor::new([4000, 1, 1, 1], vec![100.0; 4000]).unwrap();
    let model = |layer: LayerSpec| -> Model {
        Sequential::new(vec![Input::new([1, 1, 1]).into(), layer]).unwrap()
    };
    let brighter = run(
        &model(RandomBrightness::new((-0.2, 0.4)).into()),
        Mode::Training,
        &x,
        0,
    );
    let count = |low: f32, high: f32| {
        let inside = brighter.iter().filter(|y| (low..high).contains(*y)).count();
        inside as f32 / 4000.0
    };
    assert!((count(0.0, 100.0) - 1.0 / 3.0).abs() < 0.03);
    assert!((count(100.0, 151.0) - 1.0 / 3.0).abs() < 0.03);
    assert!((count(49.0, 202.1) - 1.0).abs() < 1e-6);
    let inverted = run(&model(RandomInvert::new(1.0).into()), Mode::Training, &x, 0);
    let share = inverted.iter().filter(|y| **y != 100.0).count() as f32 / 4000.0;
    assert!((share - 0.5).abs() < 0.03, "{share}");
}

#[test]
fn a_rectangle_has_the_size_that_it_should_have() {
    let x = Tensor::new([200, 20, 20, 1], vec![1.0; 80000]).unwrap();
    let layer = RandomErasing::new((1.0, 1.0))
        .scale((0.25, 0.25))
        .fill_value([0.0]);
    let model = Sequential::new(vec![Input::new([20, 20, 1]).into(), layer.into()]).unwrap();
    let y = run(&model, Mode::Training, &x, 0);
    for image in y.chunks(400) {
        let rows = (0..20)
            .filter(|row| image[row * 20..][..20].contains(&0.0))
            .count();
        let erased = image.iter().filter(|pixel| **pixel == 0.0).count();
        let columns = erased / rows;
        assert!((9..=11).contains(&rows) && (9..=11).contains(&columns));
        assert_eq!(rows * columns, erased);
    }
}

#[test]
fn numbers_of_the_gamma_and_beta_distributions_have_their_moments() {
    use regraft_tensor::kernels::random::Key;
    let draws = transformation::Draws::new(Key::new(5, 6), 7);
    for alpha in [0.2, 0.7, 1.0, 3.5] {
        let numbers = draws.gamma(20_000, alpha);
        let mean = numbers.iter().sum::<f64>() / 20_000.0;
        let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(
            (mean - alpha).abs() < 0.04 * alpha.max(0.5),
            "{alpha}: {mean}"
        );
        assert!(
            (variance - alpha).abs() < 0.1 * alpha.max(0.5),
            "{alpha}: {variance}"
        );
        let numbers = draws.beta(20_000, alpha);
        let square = |x: &f32| (f64::from(*x) - 0.5).powi(2);
        let variance = numbers.iter().map(square).sum::<f64>() / 20_000.0;
        let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
        assert!((variance - expected).abs() < 0.01, "{alpha}: {variance}");
    }
}

#[test]
fn a_map_of_corners_takes_them_where_they_should_be() {
    let from = [[0.0, 0.0], [9.0, 0.0], [0.0, 4.0], [9.0, 4.0]];
    let to = [[0.5, 0.3], [8.0, -1.0], [1.0, 5.0], [10.0, 3.0]];
    let [a0, a1, a2, b0, b1, b2, c0, c1] = random_perspective::homography(from, to).map(f64::from);
    for ([x, y], [u, v]) in from.into_iter().zip(to) {
        let depth = c0 * u + c1 * v + 1.0;
        assert!(((a0 * u + a1 * v + a2) / depth - x).abs() < 1e-4);
        assert!(((b0 * u + b1 * v + b2) / depth - y).abs() < 1e-4);
    }
}

#[test]
fn settings_without_meaning_are_refused() {
    let refused = |layer: LayerSpec| {
        let model = Sequential::new(vec![Input::new([8, 7, 3]).into(), layer]);
        model
            .err()
            .map_or_else(|| "accepted".to_string(), |error| error.to_string())
    };
    let cases: Vec<(LayerSpec, &str)> = vec![
        (RandomFlip::new("diagonal").into(), "mode"),
        (RandomRotation::new(1.5).into(), "factor"),
        (
            RandomRotation::new(0.1).fill_mode("mirror").into(),
            "fill_mode",
        ),
        (
            RandomRotation::new(0.1).interpolation("bicubic").into(),
            "interpolation",
        ),
        (RandomZoom::new(-1.0).into(), "height_factor"),
        (RandomTranslation::new(0.1, 2.0).into(), "width_factor"),
        (RandomCrop::new(0, 2).into(), "height"),
        (
            RandomBrightness::new(0.1).value_range(1.0, 1.0).into(),
            "value_range",
        ),
        (
            RandomGaussianBlur::new(1.0).kernel_size(4).into(),
            "kernel_size",
        ),
        (RandomPosterization::new(9.0).into(), "factor"),
        (MixUp::new(0.0).into(), "alpha"),
        (
            RandomErasing::new(1.0).fill_value([1.0, 2.0]).into(),
            "fill_value",
        ),
    ];
    for (layer, setting) in cases {
        let error = refused(layer);
        assert!(error.contains(setting), "{setting}: {error}");
    }
    let gray = Sequential::new(layers![Input::new([8, 7, 1]), RandomHue::new(0.1)]);
    assert!(gray.unwrap_err().to_string().contains("3 channels"));
}

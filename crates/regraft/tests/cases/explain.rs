//! Where answers come from: Grad-CAM beside TensorFlow's gradients, and what it refuses.

use regraft::layers::{
    Conv2D, Dense, Embedding, GlobalAveragePooling1D, GlobalAveragePooling2D, Input, LayerExt,
    Permute, layers,
};
use regraft::{Model, Sequential, Tensor, explain};
use serde_json::Value;

fn tensor(value: &Value) -> Tensor {
    let list = |key: &str| value[key].as_array().unwrap().iter();
    let shape: Vec<usize> = list("shape")
        .map(|it| it.as_u64().unwrap() as usize)
        .collect();
    let data = list("data").map(|it| it.as_f64().unwrap() as f32).collect();
    Tensor::new(shape, data).unwrap()
}

fn model(case: &Value) -> Model {
    let registry = regraft_layers::Registry::new();
    let mut model =
        Model::from(regraft_layers::Model::from_config(&case["config"], &registry).unwrap());
    for weight in case["inputs"]["weights"].as_array().unwrap() {
        let path = weight["path"].as_str().unwrap();
        model.set_weight(path, tensor(&weight["value"])).unwrap();
    }
    model
}

#[test]
fn heat_maps_are_those_of_tensorflow() {
    let text = include_str!("../../../../fixtures/golden/grad_cam.json");
    let golden: Value = serde_json::from_str(text).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let name = &case["name"];
        let model = model(case);
        let bits = |model: &Model| -> Vec<u32> {
            let weights = model.weights().iter();
            weights
                .flat_map(|weight| weight.value().as_slice().to_vec())
                .map(f32::to_bits)
                .collect()
        };
        let before = bits(&model);
        let (x, classes) = (tensor(&case["inputs"]["x"]), &case["inputs"]["classes"]);
        let classes: Vec<usize> = serde_json::from_value(classes.clone()).unwrap();
        let layer = case["inputs"]["layer"].as_str();
        let maps = explain::grad_cam(&model, &x, &classes, layer).unwrap();
        let expected = tensor(&case["outputs"]["maps"]);
        assert_eq!(maps.shape(), expected.shape(), "{name}");
        for (ours, theirs) in maps.as_slice().iter().zip(expected.as_slice()) {
            assert!(
                (ours - theirs).abs() <= 1e-5,
                "{name}: {ours}, expected {theirs}"
            );
        }
        assert_eq!(before, bits(&model), "{name}");
        // One class at a time gives the same.
        let row = maps.as_slice().len() / classes.len();
        for (sample, &class) in classes.iter().enumerate() {
            let alone = explain::grad_cam(&model, &x, class, layer).unwrap();
            let (from, to) = (sample * row, (sample + 1) * row);
            assert_eq!(
                alone.as_slice()[from..to],
                maps.as_slice()[from..to],
                "{name}"
            );
        }
    }
}

/// Channels first: the same maps as with the axes turned.
#[test]
fn channels_may_come_first() {
    let last = layers![
        Input::new([6, 5, 3]),
        Conv2D::new(4, 3).activation("relu"),
        GlobalAveragePooling2D::new(),
        Dense::new(2),
    ];
    let first = layers![
        Input::new([6, 5, 3]),
        Permute::new([3, 1, 2]),
        Conv2D::new(4, 3).activation("relu").channels_first(),
        GlobalAveragePooling2D::new().channels_first(),
        Dense::new(2),
    ];
    let x = Tensor::new(
        [2, 6, 5, 3],
        (0..180).map(|it| (it as f32 * 0.7).sin()).collect(),
    )
    .unwrap();
    let last = Sequential::with_seed(last, 5).unwrap();
    let mut first = Sequential::new(first).unwrap();
    for weight in last.weights().iter() {
        first
            .set_weight(weight.path(), weight.value().clone())
            .unwrap();
    }
    let maps = explain::grad_cam(&first, &x, 1, None).unwrap();
    assert_eq!(maps.shape(), [2, 4, 3]);
    let expected = explain::grad_cam(&last, &x, 1, None).unwrap();
    for (ours, theirs) in maps.as_slice().iter().zip(expected.as_slice()) {
        assert!((ours - theirs).abs() <= 1e-5, "{ours}, expected {theirs}");
    }
}

#[test]
fn what_has_no_map_is_said() {
    let x = Tensor::full([2, 6, 6, 3], 0.5);
    let model = Sequential::new(layers![
        Input::new([6, 6, 3]),
        Conv2D::new(4, 3).named("conv"),
        GlobalAveragePooling2D::new().named("pool"),
        Dense::new(2).named("head"),
    ])
    .unwrap();
    let refused = |class: &[usize], layer: &str| {
        explain::grad_cam(&model, &x, class, layer)
            .unwrap_err()
            .to_string()
    };
    for (layer, said) in [("pool", "places and channels"), ("cnov", "conv")] {
        let error = refused(&[0, 1], layer);
        assert!(error.contains(said), "{error}");
    }
    assert!(refused(&[0, 2], "conv").contains("0..2"));
    assert!(refused(&[0], "conv").contains("2, one for each sample"));
    let flat = Sequential::new(layers![Input::new([3]), Dense::new(2)]).unwrap();
    let error = explain::grad_cam(&flat, &Tensor::full([1, 3], 0.5), 0, None).unwrap_err();
    assert!(error.to_string().contains("several places"), "{error}");
    // Words have places too.
    let words = Sequential::new(layers![
        Input::new([7]),
        Embedding::new(10, 4),
        GlobalAveragePooling1D::new(),
        Dense::new(2),
    ])
    .unwrap();
    let x = regraft::ndarray::Array2::<i32>::from_shape_fn((3, 7), |(i, j)| (i * j) as i32 % 10);
    assert_eq!(
        explain::grad_cam(&words, &x, 0, None).unwrap().shape(),
        [3, 7]
    );
}

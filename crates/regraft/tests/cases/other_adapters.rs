//! Adapters that KerasHub (`cases/keras-hub`, by `fixtures/keras_hub_files.py`) and loralib (`cases/loralib`, by
//! `fixtures/loralib_files.py`) saved: what the network answers with each, and what is written again.

use std::collections::BTreeMap;
use std::path::Path;

use regraft::adapters::{Bias, Ia3, Lora};
use regraft::io::{Checkpoint, TensorData, keras_weights, safetensors};
use regraft::layers::{
    BatchNormalization, Conv2D, Dense, Embedding, Flatten, Input, LayerExt, ReLU, layers,
};
use regraft::losses::SparseCategoricalCrossentropy;
use regraft::ndarray::ArrayD;
use regraft::optimizers::SGD;
use regraft::{Fit, Layout, Load, LoadAdapter, Model, Sequential, Verbosity};

use crate::common::{assert_close, case, npy};

fn backbone() -> Model {
    Model::open(case("keras-hub/base.keras")).unwrap().0
}

fn answer(model: &Model, x: &str) -> Vec<f32> {
    let x: ArrayD<f32> = npy(x);
    model.predict(&x).unwrap().as_slice().to_vec()
}

/// The layers of `TARGETS` there, as they are called here.
const TARGETS: [&str; 8] = [
    "conv",
    "left",
    "right",
    "each/cell",
    "mixed",
    "twice/f1",
    "row/s2",
    "head",
];

fn tensors(path: &Path) -> BTreeMap<String, TensorData> {
    let checkpoint = keras_weights::read(path).unwrap();
    let weights = checkpoint.layers.into_iter().flat_map(|it| it.weights);
    weights.map(|it| (it.path, it.tensor)).collect()
}

#[test]
fn a_backbone_answers_what_keras_hub_answers() {
    let bare = backbone();
    assert_close(
        &answer(&bare, "keras-hub/x.npy"),
        &npy("keras-hub/y.npy"),
        1e-5,
    );
    let mut model = backbone();
    let report = model.load_adapter(case("keras-hub/some.lora.h5")).unwrap();
    let mut layers = report.layers.clone();
    let mut targets = TARGETS.map(str::to_string);
    layers.sort();
    targets.sort();
    assert_eq!(layers, targets);
    let expected = npy("keras-hub/some.npy");
    assert_close(&answer(&model, "keras-hub/x.npy"), &expected, 1e-5);
    model.merge_adapter().unwrap();
    assert_close(&answer(&model, "keras-hub/x.npy"), &expected, 1e-5);
    model.unmerge_adapter().unwrap();

    // What is written is what was read, in every bit, with the groups' factors as KerasHub has them.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again.lora.h5");
    model.save_adapter(&path, "default").unwrap();
    let (ours, theirs) = (tensors(&path), tensors(&case("keras-hub/some.lora.h5")));
    let names = |of: &BTreeMap<String, TensorData>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs));
    for (name, theirs) in &theirs {
        assert_eq!(ours[name].shape(), theirs.shape(), "{name}");
        let values = |tensor: &TensorData| tensor.to_tensor().unwrap();
        assert_eq!(values(&ours[name]), values(theirs), "{name}");
    }
}

#[test]
fn what_is_trained_here_comes_back_from_a_file_of_keras_hub() {
    let mut model = backbone();
    let lora = Lora::rank(2).alpha(3.0).rslora();
    let lora = lora
        .rank_of("left", 4)
        .rank_of("head", 1)
        .alpha_of("head", 5.0);
    model.adapt(TARGETS.to_vec(), lora).unwrap();
    let loss = SparseCategoricalCrossentropy::from_logits();
    model.compile(SGD::new(0.1), loss, ()).unwrap();
    let x: ArrayD<f32> = npy("keras-hub/x.npy");
    let fit = Fit::new().epochs(4).verbosity(Verbosity::Silent);
    model.fit(&x, &[0, 1, 2, 1, 0], fit).unwrap();
    let trained = answer(&model, "keras-hub/x.npy");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trained.lora.h5");
    model.save_adapter(&path, "default").unwrap();
    // A file to be read by the script; it is looked at by hand.
    if let Some(place) = std::env::var_os("REGRAFT_KEEP") {
        let place = Path::new(&place);
        std::fs::copy(&path, place.join("trained.lora.h5")).unwrap();
        let answer = ArrayD::from_shape_vec(vec![5, 3], trained.clone()).unwrap();
        ndarray_npy::write_npy(place.join("y.npy"), &answer).unwrap();
    }
    let mut again = backbone();
    let load = LoadAdapter::new().named("again");
    again.load_adapter_with(&path, load).unwrap();
    let trained = ArrayD::from_shape_vec(vec![5, 3], trained).unwrap();
    assert_close(&answer(&again, "keras-hub/x.npy"), &trained, 1e-5);
    // Of which the base is another.
    let mut other = backbone();
    let mut value = other.weight("head/kernel").unwrap().value().clone();
    value.as_mut_slice()[0] += 1.0;
    other.set_weight("head/kernel", value).unwrap();
    let text = other.load_adapter(&path).unwrap_err().to_string();
    assert!(text.contains("hash") && text.contains("any_base"), "{text}");
    assert!(other.adapters().is_empty());
}

/// What is done to a file that is sound.
type Change<'a> = &'a dyn Fn(&mut Checkpoint);

#[test]
fn what_keras_hub_has_no_place_for_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.lora.h5");
    let refused = |adapter: regraft::adapters::Adapter, layers: &[&str], part: &str| {
        let mut model = backbone();
        model.adapt(layers.to_vec(), adapter).unwrap();
        let text = model
            .save_adapter(&path, "default")
            .unwrap_err()
            .to_string();
        assert!(
            text.contains(part) && text.contains("folder"),
            "{part}: {text}"
        );
        assert!(!path.exists());
    };
    refused(Ia3::new().into(), &["conv"], "factors");
    refused(Lora::rank(2).dora().into(), &["conv"], "DoRA");
    refused(Lora::rank(2).lora_bias().into(), &["conv"], "bias behind B");
    refused(Lora::rank(2).bias(Bias::LoraOnly).into(), &["conv"], "copy");
    refused(
        Lora::rank(2).modules_to_save("head").into(),
        &["conv"],
        "copy",
    );

    // Files that are of something else leave the model as it is.
    let mut model = backbone();
    let before = model.revision();
    let theirs = keras_weights::read(case("keras-hub/some.lora.h5")).unwrap();
    let mut changed = |change: Change<'_>| {
        let mut checkpoint = theirs.clone();
        change(&mut checkpoint);
        keras_weights::write(&path, &checkpoint).unwrap();
        let text = model.load_adapter(&path).unwrap_err().to_string();
        assert_eq!(model.revision(), before);
        text
    };
    let cases: [(Change<'_>, &[&str]); 5] = [
        (
            &|it| it.layers[1].path = "lora/99".to_string(),
            &["99", "15 layers"],
        ),
        (
            &|it| it.layers[1].path = "lora/12".to_string(),
            &["BatchNormalization", "number"],
        ),
        (
            &|it| it.layers[1].path = "lora/6".to_string(),
            &["lora_kernel_a", "mid"],
        ),
        (&|it| drop(it.layers[1].weights.pop()), &["lora_kernel_b"]),
        (
            &|it| it.layers[0].weights[0].tensor = TensorData::scalar(3_i64),
            &["[3, 3, 3, 3]"],
        ),
    ];
    for (change, parts) in cases {
        let text = changed(change);
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    let text = model
        .load_adapter(case("keras-hub/base.keras"))
        .unwrap_err();
    assert!(text.to_string().contains("load_weights"), "{text}");
}

/// The network of `fixtures/loralib_files.py`, with the channels last.
fn network() -> Model {
    let grouped = Conv2D::new(4, 3).groups(2_usize).padding("same");
    let wide = Conv2D::new(6, 2).groups(2_usize).dilation_rate(2);
    let mut model = Sequential::new(layers![
        Input::new([9, 9, 3]),
        Conv2D::new(6, 3).strides(2).named("stem"),
        ReLU::new(),
        grouped.named("grouped"),
        ReLU::new(),
        wide.named("wide"),
        ReLU::new(),
        BatchNormalization::new().epsilon(1e-5).named("norm"),
        Flatten::new(),
        Dense::new(7).activation("tanh").named("hidden"),
        Dense::new(3).named("head"),
    ])
    .unwrap();
    let load = Load::new().layout(Layout::PyTorch);
    let _report = model
        .load_weights_with(case("loralib/base.safetensors"), load)
        .unwrap();
    model
}

#[test]
fn a_network_answers_what_loralib_answers() {
    let bare = network();
    assert_close(&answer(&bare, "loralib/x.npy"), &npy("loralib/y.npy"), 1e-5);
    for (name, path, alpha) in [
        ("some", "loralib/some.pt", 3.0),
        ("other", "loralib/other.safetensors", 1.0),
    ] {
        let mut model = network();
        let load = || LoadAdapter::new().alpha(alpha);
        let report = model.load_adapter_with(case(path), load()).unwrap();
        assert!(
            report.layers.iter().any(|layer| layer == "stem"),
            "{report}"
        );
        let expected: ArrayD<f32> = npy(&format!("loralib/{name}.npy"));
        assert_close(&answer(&model, "loralib/x.npy"), &expected, 1e-5);
        model.merge_adapter().unwrap();
        assert_close(&answer(&model, "loralib/x.npy"), &expected, 1e-5);
        model.unmerge_adapter().unwrap();
        // PEFT has no factors beside a dilated convolution; without that one it takes the adapter.
        let folder = tempfile::tempdir().unwrap();
        let text = model.save_adapter(folder.path(), "default").unwrap_err();
        assert!(text.to_string().contains("dilation"), "{text}");
        let text = model.load_adapter(case(path)).unwrap_err().to_string();
        assert!(text.contains("LoadAdapter::alpha"), "{text}");
    }
}

#[test]
fn loralibs_merged_layers_and_embeddings_are_read_and_written_as_pefts() {
    let mut model = Sequential::new(layers![Input::new([5]), Dense::new(9).named("mix")]).unwrap();
    let load = || Load::new().layout(Layout::PyTorch);
    let base = case("loralib/merged_base.safetensors");
    let _report = model.load_weights_with(base, load()).unwrap();
    let path = case("loralib/merged.safetensors");
    model
        .load_adapter_with(path, LoadAdapter::new().alpha(4.0))
        .unwrap();
    let expected: ArrayD<f32> = npy("loralib/merged_y.npy");
    assert_close(&answer(&model, "loralib/merged_x.npy"), &expected, 1e-5);
    let folder = tempfile::tempdir().unwrap();
    model.save_adapter(folder.path(), "default").unwrap();
    model.delete_adapter("default").unwrap();
    model.load_adapter(folder.path()).unwrap();
    assert_close(&answer(&model, "loralib/merged_x.npy"), &expected, 1e-5);

    let words = layers![Input::integers([6]), Embedding::new(9, 4).named("words")];
    let mut model = Sequential::new(words).unwrap();
    let base = case("loralib/words_base.safetensors");
    let _report = model.load_weights_with(base, load()).unwrap();
    let path = case("loralib/words.safetensors");
    model
        .load_adapter_with(path, LoadAdapter::new().alpha(3.0))
        .unwrap();
    let x: ArrayD<i32> = npy("loralib/words_x.npy");
    let found = model.predict(&x).unwrap();
    assert_close(found.as_slice(), &npy("loralib/words_y.npy"), 1e-5);
}

#[test]
fn state_dicts_that_are_no_adapter_are_refused() {
    let mut model = network();
    let before = model.revision();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let theirs = safetensors::read(case("loralib/other.safetensors")).unwrap();
    let renamed = |from: &str, to: &str| {
        let mut checkpoint = theirs.clone();
        for layer in &mut checkpoint.layers {
            for weight in &mut layer.weights {
                weight.path = weight.path.replace(from, to);
            }
        }
        checkpoint
    };
    let without = |part: &str| {
        let mut checkpoint = theirs.clone();
        for layer in &mut checkpoint.layers {
            layer.weights.retain(|weight| !weight.path.contains(part));
        }
        checkpoint
    };
    let cases = [
        (
            renamed("hidden", "hiden"),
            &["hiden", "\"hidden\"", "set_module_names"][..],
        ),
        (renamed("lora_A", "lora_C"), &["lora_C", "lora_state_dict"]),
        (renamed("lora_A", "lora_E"), &["lora_E", "AdaLoRA"]),
        (
            renamed("hidden.", "base_model.model.hidden."),
            &["PEFT", "folder"],
        ),
        (renamed("stem.lora", "head.lora"), &["head", "[9, 9]"]),
        (without("grouped.lora_B"), &["grouped", "lora_B"]),
        (without("lora_"), &["lora_A"]),
    ];
    for (checkpoint, parts) in cases {
        safetensors::write(&path, &checkpoint).unwrap();
        let load = LoadAdapter::new().alpha(1.0);
        let Err(error) = model.load_adapter_with(&path, load) else {
            panic!("{parts:?}");
        };
        for part in parts {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
        assert_eq!(model.revision(), before);
    }
}
